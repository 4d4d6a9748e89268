import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fabric } from '../../../src/fabric/node.js';
import { reopen } from '../../../src/fabric/procedures/reopen.js';
import type { Replication } from '../../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import { createSqliteDatabase, createSqliteStore } from '../../../src/fabric/store/sqlite.js';
import { type RunRecord, type Store, StoreInUse } from '../../../src/fabric/store/store.js';
import { createFakeNode, createTrio, trioRecord, uuidOf } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

let folder: string;
let servers: FakeServers;
let nodes: Fabric[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'two-nodes-'));
  servers = createTrio();
  nodes = [];
});
afterEach(async () => {
  await Promise.all(nodes.map(node => node.stop()));
  rmSync(folder, { recursive: true });
});

function nodeOn(store: Store, replication: Replication = servers, address = '127.0.0.1:0') {
  const xmlrpc = { address, disableAuthentication: true } as const;
  const node = createFakeNode(store, replication, { protocol: { xmlrpc } });
  nodes.push(node.fabric);
  return node.fabric;
}
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

function answerOf(port: number): Promise<string> {
  return new Promise(resolve => {
    const asked = request({ host: '127.0.0.1', port, method: 'POST' }, () => resolve('answers'));
    asked.on('error', error => resolve(String((error as { code?: unknown }).code)));
    asked.end();
  });
}

const sqlite = () => createSqliteStore({ file: join(folder, 'fabric.sqlite') });

const unfinished: RunRecord = {
  ...{ uuid: 'r', procedure: 'group.promote', group: 'gone', step: 0, finished: false, error: null, events: [] },
  data: '{"group":"gone","kind":"undecided"}',
};

test('a second node on the same port ends before it has opened the store', async () => {
  const first = nodeOn(createMemoryStore());
  await first.start();
  const { host, port } = first.address.xmlrpc;
  const store = createMemoryStore();
  let opened = false;
  const watched = {
    ...store,
    async open() {
      opened = true;
    },
  };
  await expect(nodeOn(watched, servers, `${host}:${port}`).start()).rejects.toThrow('EADDRINUSE');
  expect(opened).toBe(false);
});

test('a second node that is refused has not even changed the schema', async () => {
  const store = sqlite();
  await nodeOn(store).start();
  const database = createSqliteDatabase({ file: join(folder, 'fabric.sqlite') });
  await database.open();
  const version = () => database.look(session => session.query('SELECT MAX(version) AS v FROM fabric_schema'));
  await database.alter(async session => {
    await session.execute('ALTER TABLE fabric_servers DROP COLUMN by_hand');
    await session.execute('DELETE FROM fabric_schema WHERE version >= 5');
  });
  await expect(nodeOn(sqlite()).start()).rejects.toThrow('Another node uses the state store');
  expect(await version()).toEqual([{ v: 4 }]);
  await database.close();
});

test('a second node on the same store ends, and leaves the procedures of the first one alone', async () => {
  const store = sqlite();
  const first = nodeOn(store);
  await first.start();
  await store.saveRun(unfinished);
  await expect(nodeOn(sqlite()).start()).rejects.toThrow(`Another node uses the state store ${folder}/fabric.sqlite.`);
  expect((await store.unfinishedRuns()).map(({ uuid }) => uuid)).toEqual(['r']);
  await first.stop();
  await nodeOn(sqlite()).start();
});

/** The store of a node that loses it when it is told to. */
function losable(store: Store): { claimed: Store; lose(error: Error): void } {
  let tell = (_error: Error) => {};
  const claimed: Store = {
    ...store,
    async claim(lost) {
      tell = lost;
    },
  };
  return { claimed, lose: error => tell(error) };
}

function arrival(): { arrived: Promise<void>; arrive(): void } {
  let arrive = () => {};
  const arrived = new Promise<void>(resolve => {
    arrive = resolve;
  });
  return { arrived, arrive: () => arrive() };
}

test('a node whose store was taken by another one ends at once, says why, and leaves its procedure to that', async () => {
  const store = createMemoryStore();
  await store.createGroup(trioRecord({ active: false }));
  const { claimed, lose } = losable(store);
  const { arrived, arrive } = arrival();
  const frozen: Replication = {
    connect(address, timeout) {
      arrive();
      return address.port === 2 ? new Promise(() => {}) : servers.connect(address, timeout);
    },
  };
  const node = nodeOn(claimed, frozen);
  await node.start();
  const promotion = node.call('group.promote', 'g', uuidOf(2));
  const failed = expect(promotion).rejects.toThrow('the next start goes on with this procedure');
  await arrived;
  const error = new Error('Another node uses the state store by now.');
  const began = performance.now();
  lose(error);
  expect(await node.stopped()).toBe(error);
  expect(performance.now() - began).toBeLessThan(2_000);
  await failed;
  expect(await store.unfinishedRuns()).toHaveLength(1);
  // It can be started again, and is a node like any other then.
  await node.start();
  await node.stop();
  expect(await node.stopped()).toBeUndefined();
});

test('a node that loses its store while it stops leaves its procedures at once', async () => {
  const store = createMemoryStore();
  await store.createGroup(trioRecord({ active: false }));
  const { claimed, lose } = losable(store);
  const frozen: Replication = { connect: () => new Promise(() => {}) };
  const node = nodeOn(claimed, frozen);
  await node.start();
  const demotion = expect(node.call('group.demote', 'g')).rejects.toThrow('The node has stopped');
  await expect.poll(() => store.unfinishedRuns()).toHaveLength(1);
  const began = performance.now();
  const stopping = node.stop();
  lose(new Error('Another node uses the state store by now.'));
  await Promise.all([stopping, demotion]);
  expect(performance.now() - began).toBeLessThan(2_000);
});

test('who waits for the end of a node that cannot start is told', async () => {
  const first = nodeOn(createMemoryStore());
  await first.start();
  const { host, port } = first.address.xmlrpc;
  const second = nodeOn(createMemoryStore(), servers, `${host}:${port}`);
  const start = expect(second.start()).rejects.toThrow('EADDRINUSE');
  await second.stopped();
  await start;
});

test('a node whose store is taken while it starts does not start', async () => {
  const taken: Store = {
    ...createMemoryStore(),
    async claim(lost) {
      lost(new Error('Another node uses the state store by now.'));
    },
  };
  await expect(nodeOn(taken).start()).rejects.toThrow('Another node uses the state store by now.');
});

test('a node that loses its store while it ends what was left unfinished does nothing more to the servers', async () => {
  const store = createMemoryStore();
  await store.createGroup(trioRecord({ active: false }));
  servers.get(1).readOnly = true;
  const { name, data } = reopen({ group: 'g', server: uuidOf(1) });
  await store.saveRun({ ...unfinished, procedure: name, group: 'g', data: JSON.stringify(data) });
  const { claimed, lose } = losable(store);
  const { arrived, arrive } = arrival();
  const slow: Replication = {
    async connect(address, timeout) {
      arrive();
      await sleep(200);
      return servers.connect(address, timeout);
    },
  };
  const start = expect(nodeOn(claimed, slow).start()).rejects.toThrow('by now');
  await arrived;
  const began = performance.now();
  lose(new StoreInUse('Another node uses the state store by now.'));
  await start;
  expect(performance.now() - began).toBeLessThan(1_500);
  await sleep(500);
  expect(servers.get(1).readOnly).toBe(true); // it is the other node's to open
  expect((await store.unfinishedRuns()).map(({ uuid }) => uuid)).toEqual(['r']);
});

test('nobody comes in before what a killed node left is ended', async () => {
  const store = createMemoryStore();
  await store.saveRun({ ...unfinished, group: 'g', data: '{"group":"g","kind":"undecided"}' });
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  const slow = { ...store, group: (id: string) => held.then(() => store.group(id)) };
  const port = await freePort();
  const started = nodeOn(slow, servers, `127.0.0.1:${port}`).start();
  await expect.poll(() => answerOf(port)).toMatch(/^(ECONNRESET|EPIPE)$/);
  release();
  await started;
  expect(await answerOf(port)).toBe('answers');
});

test('a promotion gives up when another node has put the old primary back', async () => {
  const store = createMemoryStore();
  await store.createGroup(trioRecord({ active: false }));
  const before = trioRecord();
  const putBack = async () => {
    servers.get(1).readOnly = false;
    const group = await store.group('g');
    if (group) await store.saveGroup({ ...group, primary: before.primary, servers: before.servers });
  };
  const meddled: Replication = {
    async connect(address, timeout) {
      const server = await servers.connect(address, timeout);
      const unfence = () => server.unfence().then(() => (address.port === 2 ? putBack() : undefined));
      return { ...server, unfence };
    },
  };
  const node = nodeOn(store, meddled);
  await node.start();
  await expect(node.call('group.promote', 'g', uuidOf(2))).rejects.toThrow(
    `Server (${uuidOf(2)}) was not promoted: server (${uuidOf(1)}) has become the primary of group (g) meanwhile.`,
  );
  expect((await store.group('g'))?.primary).toBe(uuidOf(1));
  expect([1, 2, 3].map(n => servers.get(n).readOnly)).toEqual([false, true, true]);
});
