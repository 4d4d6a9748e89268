import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNode, type Fabric } from '../../../src/fabric/node.js';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import { addServer } from '../../../src/fabric/procedures/membership.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import { createMysqlStore } from '../../../src/fabric/store/mysql.js';
import type { RunRecord, Store } from '../../../src/fabric/store/store.js';
import { createFakeServers } from '../../fakes/fake-servers.js';

/** A node that is stopped while it starts: it does not wait for the start's end, and the next start finds what it left. */

let silent: Server;
const waiting: (() => void)[] = [];
beforeEach(async () => {
  silent = createServer(socket => {
    socket.on('error', () => {});
    for (const go of waiting.splice(0)) go();
  });
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
});
afterEach(() => silent.close());

const called = () => new Promise<void>(resolve => waiting.push(resolve));
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

function nodeOn(store: Store, replication = createFakeServers()): Fabric {
  const options = parseFabricOptions({
    servers: { password: 'p' },
    protocol: { xmlrpc: { address: '127.0.0.1:0', password: 'p' } },
  });
  return createNode({ options, store, replication, log: SILENT, now: Date.now });
}

/** Resolves to the ms that stopping took, and the reason that the start gave. */
async function interrupted(node: Fabric, begun: Promise<void>) {
  const starting = node.start().catch((error: Error) => error.message);
  await begun;
  const from = performance.now();
  await node.stop();
  return { took: performance.now() - from, reason: await starting };
}

describe('a node that is stopped while it starts', () => {
  it('does not wait for a state store that does not answer', async () => {
    const { port } = silent.address() as { port: number };
    const settings = { host: '127.0.0.1', port, user: 'u', password: 'p', database: 'd' };
    const store = createMysqlStore({ ...settings, connectionTimeout: 30, connectionAttempts: 9, connectionDelay: 9 });
    const node = nodeOn(store);
    for (const _again of [1, 2]) {
      const { took, reason } = await interrupted(node, called());
      expect(reason).toBe('This Fabric node was stopped before it had started.');
      expect(took).toBeLessThan(3_000);
    }
  });

  it('leaves what a killed node had begun to the next start', async () => {
    const store = createMemoryStore();
    const servers = createFakeServers();
    const empty = { description: null, active: false, primary: null, primarySince: null, baseline: null };
    await store.createGroup({ id: 'g', ...empty, servers: [] });
    servers.add('00000000-0000-0000-0000-000000000001', 1);
    const address = { host: 'h', port: 1 };
    const { name, data } = addServer({ group: 'g', address, timeout: 60, updateOnly: false });
    const run = (uuid: string): RunRecord => ({
      ...{ uuid, procedure: name, group: 'g', step: 0, data: JSON.stringify(data) },
      ...{ finished: false, error: null, events: [] },
    });
    await store.saveRun(run('first'));
    await store.saveRun(run('behind it'));

    let asked = () => {};
    const hanging = new Promise<void>(resolve => {
      asked = resolve;
    });
    const frozen = {
      ...servers,
      connect: () => {
        asked();
        return new Promise<never>(() => {});
      },
    };
    const { took, reason } = await interrupted(nodeOn(store, frozen), hanging);
    expect(reason).toBe('This Fabric node was stopped before it had started.');
    expect(took).toBeLessThan(8_000);
    expect((await store.unfinishedRuns()).map(({ uuid }) => uuid)).toEqual(['first', 'behind it']);

    const next = nodeOn(store, servers);
    await next.start();
    expect(await store.unfinishedRuns()).toEqual([]);
    expect((await store.group('g'))?.servers.length).toBe(1);
    await next.stop();
  });
});
