import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AdminError, type ReplicaStatus } from '../../../src/fabric/replication/replication.js';
import { recordOf, uuidOf, WRITTEN } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';
import { having, WatchedNode } from '../../fakes/watched-node.js';

/** What one server alone has received of a lost primary is not lost with it, whatever else is wrong with that server. */

const MORE = `${uuidOf(1)}:1-11`;
/** A former primary. */
const PAST = uuidOf(9);

let node: WatchedNode;
let servers: FakeServers;
beforeEach(() => {
  node = new WatchedNode();
  servers = node.servers;
  servers.get(1).up = false;
});
afterEach(() => node.stop());

const INACTIVE = { active: false };
const WITH_SPARE = { ...INACTIVE, servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, 1)] };
const ACKNOWLEDGES = { semiSync: async () => ({ role: 'secondary' as const, active: false }) };
const STOPPED = { sqlErrno: 1062, sqlError: 'Duplicate entry', sqlThread: 'stopped' as const };

test.each([
  ['a secondary with errant transactions', 2, `${MORE},${PAST}:1`, []],
  ['a secondary that may not be a primary', 2, MORE, ['log_slave_updates is off']],
  ['a spare with errant transactions', 1, `${MORE},${PAST}:1`, []],
] as const)('what %s alone has acknowledged is not given up', async (_what, status, executed, issues) => {
  servers.get(3).executed = executed;
  const members = [recordOf(1, 3), recordOf(2, 2), recordOf(3, status)];
  await node.start({ ...INACTIVE, servers: members }, (_server, { port }) => ({
    ...ACKNOWLEDGES,
    ...(port === 3 && { requirementIssues: async () => [...issues] }),
  }));
  await expect(node.reported()).rejects.toThrow(
    `lacks what another server alone has received: ${uuidOf(1)}:11 of server (${uuidOf(3)})`,
  );
  expect(node.opened).toEqual([]);
});

test('what a former primary has written, and one that applies no more has received, is not given up either', async () => {
  for (const port of [2, 3]) servers.get(port).executed = `${PAST}:1-5`;
  await node.start({ ...INACTIVE, baseline: `${PAST}:1-10` }, (server, { port }) => ({
    ...ACKNOWLEDGES,
    replicaStatus: () => having(server, port === 3 ? { retrieved: `${PAST}:6-10`, ...STOPPED } : {}),
  }));
  await expect(node.reported()).rejects.toThrow(`${PAST}:6-10 of server (${uuidOf(3)})`);
  expect(node.opened).toEqual([]);
});

/** Server 2 gets this from whomever it follows; returns the ports of these. */
async function receiving(executed: string, group: object, change: (port: number) => object = () => ({})) {
  const from: number[] = [];
  await node.start(group, (server, { port }) => ({
    ...ACKNOWLEDGES,
    async follow(source) {
      await server.follow(source);
      if (port !== 2) return;
      from.push(source.port);
      servers.get(2).executed = executed;
    },
    ...change(port),
  }));
  return from;
}

test('a candidate gets from a spare what a former primary has written', async () => {
  servers.get(2).executed = `${PAST}:1-5`;
  servers.get(3).executed = `${PAST}:1-10`;
  const from = await receiving(`${PAST}:1-10`, { ...WITH_SPARE, baseline: `${PAST}:1-10` });
  await node.reported();
  expect([from, node.opened]).toEqual([[3], [[2, []]]]);
});

test('the second choice gets from the first one, which could not be opened, what that alone has', async () => {
  servers.get(3).executed = MORE;
  const locked = new AdminError('locked', { host: 'h', port: 3 }, 'ER_LOCK_WAIT_TIMEOUT', false);
  const from = await receiving(MORE, INACTIVE, port =>
    port === 3
      ? { setSemiSync: (role: string) => (role === 'primary' ? Promise.reject(locked) : Promise.resolve()) }
      : {},
  );
  await node.reported();
  expect([from, node.opened]).toEqual([[3], [[2, []]]]);
});

test('the second choice does not wait for a first one that is gone', async () => {
  servers.get(3).executed = MORE;
  const from = await receiving(MORE, INACTIVE, port =>
    port === 3
      ? {
          async setSemiSync() {
            servers.get(3).up = false;
            throw new AdminError('lost', { host: 'h', port: 3 }, 'PROTOCOL_CONNECTION_LOST', true);
          },
        }
      : {},
  );
  await node.reported();
  expect([from, node.opened]).toEqual([[], [[2, []]]]);
});

test('a spare that applies slowly and acknowledges nothing is hardly waited for', async () => {
  let waits = 0;
  await node.start(WITH_SPARE, (server, { port }) => ({
    replicaStatus: () => having(server, port === 3 ? { retrieved: MORE } : {}),
    async waitForExecuted(gtids, timeout) {
      if (port === 3) waits += timeout;
      if (port === 3) await sleep(timeout);
      return (await server.executed()) === gtids;
    },
    isIdle: async () => port !== 3,
  }));
  await node.reported();
  expect(waits).toBeLessThan(1_000);
  expect(node.opened).toEqual([[2, []]]);
});

test.each([
  ['delayed', { delay: 3_600 }],
  ['slow', {}],
])('a %s spare costs a failover no second when the candidate has all that it has', async (_what, status) => {
  servers.get(2).executed = MORE;
  let waits = 0;
  await node.start(WITH_SPARE, (server, { port }) => ({
    replicaStatus: () => having(server, { retrieved: MORE, ...(port === 3 ? status : {}) }),
    async waitForExecuted(_gtids, timeout) {
      if (port === 3) waits += timeout;
      if (port === 3) await sleep(timeout);
      return port !== 3;
    },
    isIdle: async () => port !== 3,
  }));
  await node.reported();
  expect(node.opened).toEqual([[2, []]]);
  expect(waits).toBeLessThan(500);
});

test.each([
  ['lets it in after all', 3],
  ['goes on refusing', Number.POSITIVE_INFINITY],
])('a secondary whose clients are too many is asked again, and %s', async (_what, refusals) => {
  servers.get(3).executed = MORE;
  let asked = 0;
  const { connect } = servers;
  servers.connect = async (address, timeout) => {
    if (address.port === 3) asked += 1;
    if (address.port !== 3 || asked > refusals) return connect(address, timeout);
    throw new AdminError('h:3: Too many connections', address, 'ER_CON_COUNT_ERROR', false);
  };
  await node.start(INACTIVE);
  await node.reported();
  expect((await node.stored()).primary).toBe(uuidOf(refusals === 3 ? 3 : 2));
});

test.each(['reported', 'restarted'])(
  'what a primary that was %s has lost, and its replicas have received, is applied',
  async how => {
    let thrownAway = '';
    const lost: (() => void)[] = [];
    servers.get(1).up = true;
    const short = `${uuidOf(1)}:1-9`;
    for (const port of [2, 3]) servers.get(port).executed = short;
    await node.start({ active: how === 'restarted' }, (server, { port }) => ({
      onLost: listener => void (port === 1 && lost.push(listener)),
      replicaStatus: (): Promise<ReplicaStatus | null> => having(server, { retrieved: WRITTEN }),
      async waitForExecuted(gtids) {
        if (gtids === WRITTEN) servers.get(port).executed = WRITTEN;
        return true;
      },
      async forgetSource() {
        if (port !== 1 && servers.get(port).source && servers.get(port).executed !== WRITTEN) thrownAway = WRITTEN;
        await server.forgetSource();
      },
    }));
    if (how === 'restarted') await sleep(700); // it is known by then
    Object.assign(servers.get(1), { executed: short, readOnly: true, startedAt: Date.now() });
    for (const listener of lost.splice(0)) listener();
    if (how === 'reported') await node.reported();
    await node.primaryBecomes(2);
    expect(thrownAway).toBe('');
  },
);

test.each([true, false])(
  'a first choice that cannot be opened, nor hand on what it alone has, is in the way when it has acknowledged: %s',
  async acknowledges => {
    servers.get(3).executed = MORE;
    const answer = (port: number, code: string) => new AdminError(`h:${port}: no`, { host: 'h', port }, code, false);
    await node.start(INACTIVE, (server, { port }) => ({
      semiSync: async () => (acknowledges ? { role: 'secondary', active: false } : null),
      async setSemiSync(role) {
        if (port === 3 && role === 'primary') throw answer(3, 'ER_LOCK_WAIT_TIMEOUT');
      },
      async follow(source) {
        await server.follow(source);
        if (source.port === 3) throw answer(port, 'REPLICA_IO_ERROR');
      },
    }));
    if (acknowledges) {
      await expect(node.reported()).rejects.toThrow(
        `it did not get ${uuidOf(1)}:11 from server ${uuidOf(3)}, h:2: no.`,
      );
      expect([servers.get(2).source?.port, servers.get(2).io]).toEqual([1, 'running']);
    } else await node.reported();
    expect(node.opened).toEqual(acknowledges ? [] : [[2, []]]);
  },
);

describe('while the lost primary answers and is fenced', () => {
  beforeEach(() => {
    servers.get(1).up = true;
  });

  test('one that may not be a primary does not cut short the wait for one that may', async () => {
    servers.get(3).executed = `${uuidOf(1)}:1-9`;
    await node.start(INACTIVE, (_server, { port }) => ({
      requirementIssues: async () => (port === 2 ? ['log_slave_updates is off'] : []),
      async waitForExecuted() {
        if (port === 3) await sleep(800);
        servers.get(3).executed = WRITTEN;
        return true;
      },
    }));
    await node.reported();
    expect((await node.stored()).primary).toBe(uuidOf(3));
  });

  test('nobody waits for a spare that has no more than that', async () => {
    servers.get(3).executed = `${uuidOf(1)}:1-5`;
    let waits = 0;
    await node.start({ ...INACTIVE, servers: [recordOf(1, 3), recordOf(3, 1)] }, (server, { port }) => ({
      ...ACKNOWLEDGES,
      replicaStatus: () => having(server, { retrieved: WRITTEN }),
      async waitForExecuted(_gtids, timeout) {
        waits += timeout;
        await sleep(timeout);
        return port !== 3;
      },
      isIdle: async () => false,
    }));
    await node.reported().catch(() => {});
    expect(waits).toBeLessThan(500);
  });
});

test('what a first choice has acknowledged that was half opened is not given up by the second attempt either', async () => {
  servers.get(3).executed = MORE;
  const roles: Record<number, 'primary' | 'secondary'> = {};
  const no = (port: number, code: string) => new AdminError(`h:${port}: no`, { host: 'h', port }, code, false);
  await node.start(INACTIVE, (server, { port }) => ({
    semiSync: async () => ({ role: roles[port] ?? 'secondary', active: false }),
    async setSemiSync(role) {
      roles[port] = role;
    },
    unfence: () => (port === 3 ? Promise.reject(no(3, 'ER_LOCK_WAIT_TIMEOUT')) : server.unfence()),
    async follow(source) {
      await server.follow(source);
      if (source.port === 3) throw no(port, 'REPLICA_IO_ERROR');
    },
  }));
  for (let attempt = 0; attempt < 2; attempt += 1) await expect(node.reported()).rejects.toThrow('it did not get');
  expect(node.opened).toEqual([]);
});

test('a candidate that goes on without what a spare does not hand on does not wait for the lost primary', async () => {
  servers.get(3).executed = MORE;
  const from: number[] = [];
  await node.start(WITH_SPARE, (server, { port }) => ({
    async follow(source) {
      if (port === 2) from.push(source.port);
      await server.follow(source);
      if (source.port === 3) throw new AdminError('no', { host: 'h', port }, 'REPLICA_IO_ERROR', false);
    },
  }));
  await node.reported();
  expect([from, node.opened]).toEqual([[3], [[2, []]]]);
});

describe('a server that is named', () => {
  const LOST = recordOf(1, 0);
  const promote = () => node.fabric.call('group.promote', 'g', uuidOf(2));

  test.each([1, 2] as const)(
    'and in use is not promoted past what another one (status %i) has acknowledged',
    async status => {
      servers.get(2).readOnly = false;
      servers.get(3).executed = MORE;
      await node.start({ ...INACTIVE, servers: [LOST, recordOf(2, 2), recordOf(3, status)] }, () => ACKNOWLEDGES);
      await expect(promote()).rejects.toThrow(`${uuidOf(1)}:11`);
    },
  );

  test('is waited for though another one has applied more', async () => {
    servers.get(3).executed = MORE;
    let waits = 0;
    await node.start({ ...INACTIVE, servers: [LOST, recordOf(2, 2), recordOf(3, 2)] }, (server, { port }) => ({
      replicaStatus: () => having(server, { retrieved: MORE }),
      async waitForExecuted() {
        if (port !== 2) return true;
        waits += 1;
        if (waits === 5) servers.get(2).executed = MORE;
        return waits >= 5;
      },
      isIdle: async () => port !== 2,
    }));
    await promote();
    expect(node.writable()).toEqual([2]);
  });

  test('is waited for also while the lost primary answers', { timeout: 10_000 }, async () => {
    servers.get(1).up = true;
    servers.get(2).executed = `${uuidOf(1)}:1-9`;
    await node.start({ ...INACTIVE, servers: [LOST, recordOf(2, 2), recordOf(3, 2)] }, (_server, { port }) => ({
      async waitForExecuted() {
        if (port === 2) await sleep(900);
        servers.get(2).executed = WRITTEN;
        return true;
      },
    }));
    await promote();
    expect(node.writable()).toEqual([2]);
  });
});
