import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdminError } from '../../../src/fabric/replication/replication.js';
import type { Store } from '../../../src/fabric/store/store.js';
import { recordOf, uuidOf, WRITTEN } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';
import { DECLARED, WatchedNode } from '../../fakes/watched-node.js';

/** No server is opened beside another one that accepts writes, and none is left out that should be open. */

let node: WatchedNode;
let servers: FakeServers;
beforeEach(() => {
  node = new WatchedNode();
  servers = node.servers;
});
afterEach(() => node.stop());

const INACTIVE = { active: false };

test('the real primary, which update_only has replaced, is closed before a third server is opened', async () => {
  await node.start({ servers: [recordOf(1, 3, { weight: 0.5 }), recordOf(2, 2), recordOf(3, 2)] });
  await node.fabric.call('group.promote', 'g', uuidOf(2), true);
  servers.get(2).up = false;
  await node.primaryBecomes(3);
  expect(node.opened).toEqual([[3, []]]);
});

test.each(['secondary', 'spare'])('a %s that accepts writes is closed before another one is opened', async kind => {
  servers.get(1).up = false;
  servers.get(3).readOnly = false;
  await node.start({ ...INACTIVE, servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, kind === 'spare' ? 1 : 2)] });
  await node.reported();
  expect(node.opened).toEqual([[2, []]]);
});

test.each([1, 3])('nobody is opened while server %i answers, accepts writes, and cannot be fenced', async port => {
  const stubborn = new AdminError('clients that were killed hold locks still', { host: 'h', port }, 'ETIMEDOUT', false);
  servers.get(1).up = port === 1;
  servers.get(3).readOnly = port !== 3;
  await node.start(INACTIVE, (_server, at) => (at.port === port ? { fence: () => Promise.reject(stubborn) } : {}));
  await expect(node.reported()).rejects.toThrow(
    `Server (${uuidOf(port)}) answers and could not be fenced: clients that were killed hold locks still. Please, let this account log in`,
  );
  expect(node.opened).toEqual([]);
});

test('the lost primary is fenced at once when it goes on while another server is still being repointed', async () => {
  servers.get(1).up = false;
  let goOn = () => {};
  const held = new Promise<void>(resolve => {
    goOn = resolve;
  });
  await node.start(INACTIVE, (server, at) =>
    at.port === 3 ? { follow: source => held.then(() => server.follow(source)) } : {},
  );
  const report = node.reported();
  await node.primaryBecomes(2);
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
  await node.start(INACTIVE, (server, at) => ({
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
  await node.reported();
  expect([(await node.stored()).primary, thrownAway]).toEqual([uuidOf(2), '']);
});

test('a change that the store has taken without saying so is a change', async () => {
  const { saveGroup } = node.store;
  let doubted = false;
  const doubtful: Store = {
    ...node.store,
    async saveGroup(group) {
      const saved = await saveGroup(group);
      if (doubted || group.primary === uuidOf(1)) return saved;
      doubted = true;
      throw new Error('The state store did not confirm a change, which may be stored or not.');
    },
  };
  servers.get(1).up = false;
  await node.start(INACTIVE, () => ({}), doubtful);
  await node.reported();
  expect(doubted).toBe(true);
  expect(await node.state()).toEqual([uuidOf(2), [2]]);
});

test('transactions that the primary has from elsewhere are not errant on its secondaries', async () => {
  await node.start();
  const foreign = `${WRITTEN},${uuidOf(8)}:1-3`;
  for (const port of [1, 2, 3]) servers.get(port).executed = foreign;
  await expect.poll(async () => (await node.stored()).baseline, { timeout: 3_000 }).toBe(`${uuidOf(8)}:1-3`);
  servers.get(1).up = false;
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  await node.primaryBecomes(2);
});

test('another server at the address of the primary is not taken for it', async () => {
  await node.start();
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  servers.add(uuidOf(9), 1, { readOnly: false });
  await node.primaryBecomes(2);
  expect(servers.get(1).readOnly).toBe(false);
});

test('another server at the address of a secondary is left alone', async () => {
  servers.add(uuidOf(9), 3, { readOnly: false });
  await node.start(INACTIVE);
  await node.reported();
  expect(servers.get(3)).toMatchObject({ readOnly: false, source: null });
  expect((await node.stored()).servers.map(({ status }) => status)).toEqual([0, 3, 0]);
});

test('what update_only has put into the group is left alone when a primary that has lost data is replaced', async () => {
  servers.add(uuidOf(4), 4, { readOnly: false });
  Object.assign(servers.get(1), { readOnly: true, executed: `${uuidOf(1)}:1-9`, startedAt: Date.now() });
  await node.start({ servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, 2), recordOf(4, 2, { byHand: true })] });
  await node.primaryBecomes(2);
  await expect.poll(() => servers.get(3).source?.port).toBe(2);
  expect(servers.get(4)).toMatchObject({ readOnly: false, source: null });
  expect((await node.stored()).servers[3]?.byHand).toBe(true);
});

test('a failover that is gone on with asks again: the old primary is back, and was written to', async () => {
  const more = `${uuidOf(1)}:1-5000`;
  servers.get(1).executed = more;
  for (const port of [2, 3]) servers.get(port).io = 'stopped';
  const order = [uuidOf(2), uuidOf(3)];
  await node.leftBehind('threat.report_failure', 3, { ...DECLARED, order });
  await node.start({ servers: [recordOf(1, 0, { needsFencing: true }), recordOf(2, 2), recordOf(3, 2)] }, server => ({
    waitForExecuted: async gtids => (await server.executed()) === gtids,
  }));
  expect(node.opened).toEqual([[1, []]]);
  expect(await node.state()).toEqual([uuidOf(1), [1]]);
});

test.each([4, 6])(
  'a switchover that is gone on with after step %i gives way to an old primary that was opened since',
  async step => {
    servers.get(1).executed = `${uuidOf(1)}:1-5000`;
    const mood = { kind: 'switchover', automatic: false, mayReturn: false, believedDead: false };
    await node.leftBehind('group.promote', step, { ...mood, asked: uuidOf(2), chosen: uuidOf(2) });
    await node.start({ primary: null, servers: [recordOf(1, 2), recordOf(2, 2), recordOf(3, 2)] });
    expect(node.opened.filter(([port]) => port !== 1)).toEqual([]);
    expect(await node.state()).toEqual([uuidOf(1), [1]]);
  },
);

test('a demotion whose primary is away when it is gone on with leaves none that refuses writes', async () => {
  Object.assign(servers.get(1), { readOnly: true, up: false });
  await node.leftBehind('group.demote', 1, { fenced: uuidOf(1) });
  await node.start();
  servers.get(1).up = true;
  expect((await node.stored()).primary).toBeNull();
});
