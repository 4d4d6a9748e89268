import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pauseAfter } from '../../../src/fabric/caretaker.js';
import { AdminError } from '../../../src/fabric/replication/replication.js';
import { createFakeNode, uuidOf } from '../../fakes/fake-node.js';
import { WatchedNode } from '../../fakes/watched-node.js';

/** A server that refuses its place in the group is given it later: not never, and not at every look. */

let node: WatchedNode;
beforeEach(() => {
  node = new WatchedNode();
});
afterEach(() => node.stop());

/** Starts the node on a server that refuses to follow so many times; returns how often it was asked. */
async function refuseToFollow(times: number): Promise<() => number> {
  Object.assign(node.servers.get(2), { source: null, io: 'stopped', sql: 'stopped' });
  let asked = 0;
  const busy = new AdminError('Lock wait timeout exceeded', { host: 'h', port: 2 }, 'ER_LOCK_WAIT_TIMEOUT', false);
  await node.start({}, (server, { port }) => ({
    async follow(source) {
      if (port === 2) asked += 1;
      if (port === 2 && asked <= times) throw busy;
      await server.follow(source);
    },
  }));
  return () => asked;
}

test('a secondary that could not follow for a moment follows after all', async () => {
  const asked = await refuseToFollow(2);
  await expect.poll(() => node.servers.get(2).source?.port, { timeout: 5_000 }).toBe(1);
  expect(asked()).toBe(3);
});

test('one that goes on refusing is asked less and less often', async () => {
  const asked = await refuseToFollow(Number.POSITIVE_INFINITY);
  await expect.poll(asked, { timeout: 5_000 }).toBe(3);
  await sleep(1_000); // looks enough for five more
  expect(asked()).toBe(3);
});

describe('a secondary that is to follow a new primary', () => {
  const answer = (code: string) => new AdminError(`h:3: ${code}`, { host: 'h', port: 3 }, code, false);

  /** Server 1 is lost, and server 3 fails so often to follow server 2. */
  async function repointed(times: number, fail: () => AdminError): Promise<void> {
    let failures = 0;
    await node.start({}, (server, { port }) => ({
      async follow(source) {
        if (port === 3 && failures++ < times) throw fail();
        await server.follow(source);
      },
    }));
    await sleep(700); // each server is known by then
    node.servers.get(1).up = false;
    await node.reported();
    expect((await node.stored()).primary).toBe(uuidOf(2));
  }
  const shown = async () => {
    const { source, io } = node.servers.get(3);
    return [source?.port, io, (await node.stored()).servers[2]?.status];
  };
  const FOLLOWS = [2, 'running', 2];
  const untilItFollows = () => expect.poll(shown, { timeout: 5_000 }).toEqual(FOLLOWS);

  test.each(['REPLICA_IO_ERROR', 'ER_LOCK_WAIT_TIMEOUT'])('tries again what may pass: %s', async code => {
    await repointed(3, () => answer(code));
    expect(await shown()).toEqual(FOLLOWS);
  });

  test('is out of the group when it cannot apply what it receives', async () => {
    await repointed(Number.POSITIVE_INFINITY, () => answer('REPLICA_SQL_ERROR'));
    expect((await node.stored()).servers[2]?.status).toBe(0);
  });

  test('is none the worse for one that did not answer for a moment', async () => {
    const { connect } = node.servers;
    let silent = false;
    node.servers.connect = async (address, timeout) => {
      if (address.port === 2 && silent) throw new AdminError('silent', address, 'ETIMEDOUT', true);
      return connect(address, timeout);
    };
    await repointed(1, () => {
      silent = true;
      setTimeout(() => {
        silent = false;
      }, 300);
      return answer('REPLICA_IO_ERROR');
    });
    await untilItFollows();
  });

  test('may take its time to stop what it applies', async () => {
    await repointed(1, () => new AdminError('h:3 did not answer', { host: 'h', port: 3 }, 'ETIMEDOUT', true));
    await untilItFollows();
  });
});

test('a primary that restarted read-only is opened soon after what kept it from that is gone', {
  timeout: 20_000,
}, async () => {
  Object.assign(node.servers.get(1), { readOnly: true, startedAt: Date.now() });
  let full = true;
  const { connect } = node.servers;
  node.servers.connect = async (address, timeout) => {
    if (address.port === 3 && full) throw new AdminError('Too many connections', address, 'ER_CON_COUNT_ERROR', false);
    return connect(address, timeout);
  };
  await node.start();
  await sleep(1_500); // time for several attempts
  expect(node.servers.get(1).readOnly).toBe(true);
  full = false;
  await expect.poll(() => node.servers.get(1).readOnly, { timeout: 5_000 }).toBe(false);
});

test.each([
  [false, [1, 2, 4, 8, 16, 32, 60, 60]],
  [true, [1, 2, 4, 4, 4, 4, 4, 4]],
])('it is tried less and less often, but often enough for a primary: %s', (isPrimary, seconds) => {
  const pauses: number[] = [];
  for (const _ of seconds) pauses.push(pauseAfter(pauses.at(-1), isPrimary));
  expect(pauses).toEqual(seconds.map(each => each * 1_000));
});

test('a secondary that was to follow the new primary does so also when another node is started before', async () => {
  let slow = true;
  await node.start({}, (server, { port }) => ({
    async follow(source) {
      if (port === 3 && slow) throw new AdminError('h:3 did not answer', { host: 'h', port: 3 }, 'ETIMEDOUT', true);
      await server.follow(source);
    },
  }));
  node.servers.get(1).up = false;
  await node.reported();
  await node.stop();
  slow = false;
  node.servers.get(3).io = 'connecting';
  const next = createFakeNode(node.store, node.servers).fabric;
  await next.start();
  await expect.poll(() => node.servers.get(3).source?.port, { timeout: 5_000 }).toBe(2);
  await next.stop();
});
