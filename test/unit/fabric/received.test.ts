import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdminError } from '../../../src/fabric/replication/replication.js';
import { recordOf, uuidOf, WRITTEN } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';
import { DECLARED, having, WatchedNode } from '../../fakes/watched-node.js';

/** What has become of the lost primary, and of what it has sent, between two looks of a failover. */

const MORE = `${uuidOf(1)}:1-11`;

let node: WatchedNode;
let servers: FakeServers;
beforeEach(() => {
  node = new WatchedNode();
  servers = node.servers;
});
afterEach(() => node.stop());

const INACTIVE = { active: false };
const LOST = [recordOf(1, 0, { needsFencing: true }), recordOf(2, 2), recordOf(3, 2)];

const beside = () => node.opened.filter(([, others]) => others.length > 0);

test.each([
  ['was unreachable', 'threat.report_failure', DECLARED],
  ['had been fenced', 'threat.report_failure', { ...DECLARED, believedDead: false, oldExecuted: WRITTEN }],
  ['was unreachable', 'group.promote', { ...DECLARED, automatic: false, mayReturn: false }],
])(
  'a primary that %s, and is back when another node goes on with %s, is fenced first',
  async (_was, procedure, data) => {
    servers.get(1).executed = MORE;
    await node.leftBehind(procedure, 2, data);
    await node.start({ ...INACTIVE, servers: LOST }, server => ({
      waitForExecuted: async gtids => (await server.executed()) === gtids,
    }));
    expect(beside()).toEqual([]);
    expect(servers.get(1).readOnly || (await node.stored()).primary === uuidOf(1)).toBe(true);
  },
);

test('what was received since another node had fenced the primary is applied first', async () => {
  let thrownAway = '';
  servers.get(1).up = false;
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  const data = { ...DECLARED, believedDead: false, oldExecuted: WRITTEN, order: [uuidOf(2)] };
  await node.leftBehind('threat.report_failure', 3, data);
  await node.start({ ...INACTIVE, servers: LOST }, (server, { port }) => ({
    replicaStatus: () => having(server, { retrieved: MORE }),
    async waitForExecuted(gtids) {
      if (gtids === MORE) servers.get(port).executed = MORE;
      return true;
    },
    async forgetSource() {
      if (servers.get(port).executed !== MORE) thrownAway = MORE;
      await server.forgetSource();
    },
  }));
  expect([(await node.stored()).primary, thrownAway]).toEqual([uuidOf(2), '']);
});

test('a primary that is back after a long survey is fenced before another one is opened', async () => {
  servers.get(1).up = false;
  await node.start(INACTIVE, (server, { port }) => ({
    replicaStatus: () => having(server, { retrieved: port === 3 ? MORE : WRITTEN }),
    async waitForExecuted() {
      if (port !== 3) return true;
      servers.get(1).up = true;
      await sleep(1_100);
      servers.get(3).executed = MORE;
      return true;
    },
  }));
  await node.reported().catch(() => {});
  expect(beside()).toEqual([]);
  expect(node.writable()).toHaveLength(1);
});

test('nobody is opened beside a primary that is back and cannot be fenced', async () => {
  const stubborn = new AdminError('locks', { host: 'h', port: 1 }, 'ETIMEDOUT', false);
  servers.get(1).up = false;
  servers.get(2).io = 'connecting';
  await node.start(INACTIVE, (server, { port }) => ({
    fence: () => (port === 1 ? Promise.reject(stubborn) : server.fence()),
    async requirementIssues() {
      if (port === 2) return [];
      await sleep(50);
      servers.get(2).io = 'running';
      servers.get(1).up = true;
      return [];
    },
  }));
  await expect(node.reported()).rejects.toThrow('answers and could not be fenced');
  expect(node.opened).toEqual([]);
});

test('what a primary that is back has written is received before the candidate is opened', async () => {
  Object.assign(servers.get(1), { up: false, executed: MORE });
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  await node.start({ ...INACTIVE, servers: LOST }, (server, { port }) => ({
    async requirementIssues() {
      if (port === 2) return [];
      await sleep(50);
      for (const replica of [2, 3]) servers.get(replica).io = 'running';
      servers.get(1).up = true;
      return [];
    },
    async waitForExecuted(gtids) {
      if (servers.get(port).io === 'running') servers.get(port).executed = MORE;
      return (await server.executed()) === gtids;
    },
  }));
  await node.fabric.call('group.promote', 'g');
  expect(beside()).toEqual([]);
  expect(await node.state()).toEqual([uuidOf(2), [2]]);
});

test.each([
  ['secondary', 2],
  ['spare', 1],
] as const)('a slow %s is not waited for when another one has all that it holds', async (_kind, status) => {
  servers.get(1).up = false;
  servers.get(2).executed = MORE;
  let waits = 0;
  await node.start(
    { ...INACTIVE, servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, status)] },
    (server, { port }) => ({
      replicaStatus: () => having(server, { retrieved: MORE }),
      async waitForExecuted() {
        if (port === 3) waits += 1;
        return port !== 3;
      },
      isIdle: async () => port !== 3,
    }),
  );
  await node.reported();
  expect((await node.stored()).primary).toBe(uuidOf(2));
  expect(waits).toBeLessThan(5); // each takes a second
});

const STOPPED = { sqlErrno: 1062, sqlError: 'Duplicate entry', sqlThread: 'stopped' as const };
test.each([
  ['secondary', 'whose applier has stopped', 2, STOPPED],
  ['secondary', 'that applies late', 2, { delay: 3_600 }],
  ['spare', 'whose applier has stopped', 1, STOPPED],
  ['spare', 'that applies late', 1, { delay: 3_600 }],
] as const)('a %s %s is not given up for another one when it has acknowledged', async (_kind, _what, kind, status) => {
  servers.get(1).up = false;
  let acknowledges = true;
  const members = [recordOf(1, 3), recordOf(2, 2), recordOf(3, kind)];
  await node.start({ ...INACTIVE, servers: members }, (server, { port }) => ({
    replicaStatus: () => having(server, port === 3 ? { retrieved: MORE, ...status } : { retrieved: WRITTEN }),
    waitForExecuted: async gtids => (await server.executed()) === gtids,
    isIdle: async () => port !== 3,
    semiSync: async () => (acknowledges ? { role: 'secondary', active: false } : null),
  }));
  await expect(node.reported()).rejects.toThrow(
    `Server (${uuidOf(2)}) lacks what another server alone has received: ${uuidOf(1)}:11 of server (${uuidOf(3)}).`,
  );
  expect(node.opened).toEqual([]);
  acknowledges = false;
  await node.reported();
  expect(node.opened).toEqual([[2, []]]);
});

test('a candidate gets from a spare what that alone has received', async () => {
  servers.get(1).up = false;
  servers.get(3).executed = MORE;
  const from: number[] = [];
  await node.start({ ...INACTIVE, servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, 1)] }, (server, { port }) => ({
    async follow(source) {
      await server.follow(source);
      if (port === 2) from.push(source.port);
      if (port === 2) servers.get(2).executed = MORE;
    },
    waitForExecuted: async gtids => (await server.executed()).endsWith(gtids.slice(-2)),
  }));
  await node.reported();
  expect([await node.state(), from]).toEqual([[uuidOf(2), [2]], [3]]);
});

test.each([true, false])(
  'the demotion of a primary that does not answer changes nothing, activated: %s',
  async active => {
    await node.start({ active });
    servers.get(1).up = false;
    await expect(node.fabric.call('group.demote', 'g')).rejects.toThrow("Can't connect");
    expect((await node.stored()).primary).toBe(uuidOf(1));
  },
);

test('a server that was FAULTY when it was looked for is not closed when it is the primary by then', async () => {
  let slow = true;
  servers.get(3).readOnly = false;
  const { connect } = servers;
  servers.connect = async (address, timeout) => {
    if (address.port === 3 && slow) {
      slow = false;
      await sleep(150);
    }
    return connect(address, timeout);
  };
  const members = [recordOf(1, 3), recordOf(2, 2), recordOf(3, 0, { needsFencing: true })];
  await node.start({ ...INACTIVE, servers: members });
  await node.fabric.call('server.set_status', uuidOf(3), 'SPARE');
  await node.fabric.call('group.promote', 'g', uuidOf(3));
  await sleep(300);
  expect(node.writable()).toEqual([3]);
});

test('a server that an application uses goes on when its first promotion fails', async () => {
  await node.start(
    { ...INACTIVE, primary: null, baseline: null, servers: [recordOf(1, 2), recordOf(2, 2), recordOf(3, 2)] },
    (_server, { port }) => ({
      setSemiSync: async () => {
        if (port === 1) throw new Error('no privilege');
      },
    }),
  );
  await expect(node.fabric.call('group.promote', 'g', uuidOf(1))).rejects.toThrow('no privilege');
  expect(node.writable()).toEqual([1]);
});

test('transactions from elsewhere that go on and on take no more room', async () => {
  await node.start();
  for (const n of [1, 2, 3]) {
    servers.get(1).executed = `${WRITTEN},${uuidOf(8)}:1-${n}`;
    const known = n === 1 ? `${uuidOf(8)}:1` : `${uuidOf(8)}:1-${n}`;
    await expect.poll(async () => (await node.stored()).baseline, { timeout: 3_000 }).toBe(known);
  }
});
