import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fabric } from '../../../src/fabric/node.js';
import {
  type Address,
  AdminError,
  type ManagedServer,
  type Replication,
} from '../../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { GroupRecord, Store } from '../../../src/fabric/store/store.js';
import { createFakeNode, createTrio, recordOf, trioRecord, uuidOf, WRITTEN } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

/** No server is opened beside another one that accepts writes, and none is left out that should be open. */

let fabric: Fabric;
let store: Store;
let servers: FakeServers;
/** Each server that was opened, by its port, with those that accepted writes then. */
let opened: [port: number, beside: number[]][];
beforeEach(() => {
  store = createMemoryStore();
  servers = createTrio();
  opened = [];
});
afterEach(() => fabric.stop());

const writable = () => [1, 2, 3].filter(port => servers.get(port).up && !servers.get(port).readOnly);

function watched(change: (server: ManagedServer, address: Address) => Partial<ManagedServer>): Replication {
  return {
    async connect(address, timeout) {
      const server = await servers.connect(address, timeout);
      const own: ManagedServer = {
        ...server,
        unfence() {
          opened.push([address.port, writable().filter(port => port !== address.port)]);
          return server.unfence();
        },
      };
      return { ...own, ...change(own, address) };
    },
  };
}
async function start(
  group: Partial<GroupRecord> = {},
  change: (server: ManagedServer, address: Address) => Partial<ManagedServer> = () => ({}),
  nodeStore = store,
) {
  await store.createGroup(trioRecord(group));
  const node = createFakeNode(nodeStore, watched(change));
  fabric = node.fabric;
  await fabric.start();
}
const stored = async () => (await store.group('g')) as GroupRecord;
const primaryBecomes = (n: number) =>
  expect.poll(async () => (await stored()).primary, { timeout: 5_000 }).toBe(uuidOf(n));
const reported = () => fabric.call('threat.report_failure', uuidOf(1));
const INACTIVE = { active: false };

test('the real primary, which update_only has replaced, is closed before a third server is opened', async () => {
  await start({ servers: [recordOf(1, 3, { weight: 0.5 }), recordOf(2, 2), recordOf(3, 2)] });
  await fabric.call('group.promote', 'g', uuidOf(2), true);
  servers.get(2).up = false;
  await primaryBecomes(3);
  expect(opened).toEqual([[3, []]]);
});

test.each(['secondary', 'spare'])('a %s that accepts writes is closed before another one is opened', async kind => {
  servers.get(1).up = false;
  servers.get(3).readOnly = false;
  await start({ ...INACTIVE, servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, kind === 'spare' ? 1 : 2)] });
  await reported();
  expect(opened).toEqual([[2, []]]);
});

test.each([1, 3])('nobody is opened while server %i answers, accepts writes, and cannot be fenced', async port => {
  const stubborn = new AdminError('clients that were killed hold locks still', { host: 'h', port }, 'ETIMEDOUT', false);
  servers.get(1).up = port === 1;
  servers.get(3).readOnly = port !== 3;
  await start(INACTIVE, (_server, at) => (at.port === port ? { fence: () => Promise.reject(stubborn) } : {}));
  await expect(reported()).rejects.toThrow(
    `Server (${uuidOf(port)}) answers and could not be fenced: clients that were killed hold locks still. Please, let this account log in`,
  );
  expect(opened).toEqual([]);
});

test('the lost primary is fenced at once when it goes on while another server is still being repointed', async () => {
  servers.get(1).up = false;
  let goOn = () => {};
  const held = new Promise<void>(resolve => {
    goOn = resolve;
  });
  await start(INACTIVE, (server, at) =>
    at.port === 3 ? { follow: source => held.then(() => server.follow(source)) } : {},
  );
  const report = reported();
  await primaryBecomes(2);
  servers.get(1).up = true;
  await expect.poll(() => servers.get(1).readOnly, { timeout: 2_000 }).toBe(true);
  goOn();
  await report;
});

test('what a candidate receives between the survey and its opening is applied first', async () => {
  let retrieved = WRITTEN;
  let thrownAway = '';
  servers.get(1).up = false;
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  await start(INACTIVE, (server, at) => ({
    async replicaStatus() {
      const status = await server.replicaStatus();
      return status && { ...status, retrieved: at.port === 2 ? retrieved : WRITTEN };
    },
    async requirementIssues() {
      if (at.port === 2) return [];
      // Meanwhile the frozen primary goes on, and the receiver of the other one acknowledges a transaction.
      await sleep(50);
      servers.get(2).io = 'running';
      retrieved = `${uuidOf(1)}:1-11`;
      return [];
    },
    async waitForExecuted() {
      if (at.port === 2) servers.get(2).executed = retrieved;
      return true;
    },
    async forgetSource() {
      if (at.port === 2 && servers.get(2).executed !== retrieved) thrownAway = retrieved;
      await server.forgetSource();
    },
  }));
  await reported();
  expect([(await stored()).primary, thrownAway]).toEqual([uuidOf(2), '']);
});

test('a change that the store has taken without saying so is a change', async () => {
  const { saveGroup } = store;
  let doubted = false;
  const doubtful: Store = {
    ...store,
    async saveGroup(group) {
      const saved = await saveGroup(group);
      if (doubted || group.primary === uuidOf(1)) return saved;
      doubted = true;
      throw new Error('The state store did not confirm a change, which may be stored or not.');
    },
  };
  servers.get(1).up = false;
  await start(INACTIVE, () => ({}), doubtful);
  await reported();
  expect(doubted).toBe(true);
  expect([(await stored()).primary, writable()]).toEqual([uuidOf(2), [2]]);
});

test('transactions that the primary has from elsewhere are not errant on its secondaries', async () => {
  await start();
  const foreign = `${WRITTEN},${uuidOf(8)}:1-3`;
  for (const port of [1, 2, 3]) servers.get(port).executed = foreign;
  await expect.poll(async () => (await stored()).baseline, { timeout: 3_000 }).toBe(`${uuidOf(8)}:1-3`);
  servers.get(1).up = false;
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  await primaryBecomes(2);
});

test('another server at the address of the primary is not taken for it', async () => {
  await start();
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  servers.add(uuidOf(9), 1, { readOnly: false });
  await primaryBecomes(2);
  expect(servers.get(1).readOnly).toBe(false);
});

test('another server at the address of a secondary is left alone', async () => {
  servers.add(uuidOf(9), 3, { readOnly: false });
  await start(INACTIVE);
  await reported();
  expect(servers.get(3)).toMatchObject({ readOnly: false, source: null });
  expect((await stored()).servers.map(({ status }) => status)).toEqual([0, 3, 0]);
});

test('what update_only has put into the group is left alone when a primary that has lost data is replaced', async () => {
  servers.add(uuidOf(4), 4, { readOnly: false });
  Object.assign(servers.get(1), { readOnly: true, executed: `${uuidOf(1)}:1-9`, startedAt: Date.now() });
  await start({ servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, 2), recordOf(4, 2, { byHand: true })] });
  await primaryBecomes(2);
  await expect.poll(() => servers.get(3).source?.port).toBe(2);
  expect(servers.get(4)).toMatchObject({ readOnly: false, source: null });
  expect((await stored()).servers[3]?.byHand).toBe(true);
});

/** A run that a killed node has left behind. */
async function leftBehind(procedure: string, step: number, data: object) {
  const before = { ...trioRecord(), version: 1 };
  const promotion = { asked: null, updateOnly: false, oldExecuted: null, order: [], chosen: null, old: uuidOf(1) };
  const run = { uuid: 'r1', procedure, group: 'g', step, finished: false, error: null, events: [] };
  await store.saveRun({ ...run, data: JSON.stringify({ group: 'g', before, ...promotion, ...data }) });
}

test('a failover that is gone on with asks again: the old primary is back, and was written to', async () => {
  const more = `${uuidOf(1)}:1-5000`;
  servers.get(1).executed = more;
  for (const port of [2, 3]) servers.get(port).io = 'stopped';
  const order = [uuidOf(2), uuidOf(3)];
  const declared = { server: uuidOf(1), reporter: 'x', error: 'x', respectFailoverInterval: true };
  const mood = { kind: 'failover', automatic: true, mayReturn: true, believedDead: true };
  await leftBehind('threat.report_failure', 3, { ...declared, ...mood, order });
  await start({ servers: [recordOf(1, 0, { needsFencing: true }), recordOf(2, 2), recordOf(3, 2)] }, server => ({
    waitForExecuted: async gtids => (await server.executed()) === gtids,
  }));
  expect(opened).toEqual([[1, []]]);
  expect([(await stored()).primary, writable()]).toEqual([uuidOf(1), [1]]);
});

test.each([4, 6])(
  'a switchover that is gone on with after step %i gives way to an old primary that was opened since',
  async step => {
    servers.get(1).executed = `${uuidOf(1)}:1-5000`;
    const mood = { kind: 'switchover', automatic: false, mayReturn: false, believedDead: false };
    await leftBehind('group.promote', step, { ...mood, asked: uuidOf(2), chosen: uuidOf(2) });
    await start({ primary: null, servers: [recordOf(1, 2), recordOf(2, 2), recordOf(3, 2)] });
    expect(opened.filter(([port]) => port !== 1)).toEqual([]);
    expect([(await stored()).primary, writable()]).toEqual([uuidOf(1), [1]]);
  },
);

test('a demotion whose primary is away when it is gone on with leaves none that refuses writes', async () => {
  Object.assign(servers.get(1), { readOnly: true, up: false });
  await leftBehind('group.demote', 1, { fenced: uuidOf(1) });
  await start();
  servers.get(1).up = true;
  expect((await stored()).primary).toBeNull();
});
