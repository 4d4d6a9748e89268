import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdminError } from '../../../src/fabric/replication/replication.js';
import { WatchedNode } from '../../fakes/watched-node.js';

/** A server that refuses its place in the group is given it later: not never, and not at every look. */

let node: WatchedNode;
beforeEach(() => {
  node = new WatchedNode();
  Object.assign(node.servers.get(2), { source: null, io: 'stopped', sql: 'stopped' });
});
afterEach(() => node.stop());

/** Starts the node on a server that refuses to follow so many times; returns how often it was asked. */
async function refuseToFollow(times: number): Promise<() => number> {
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
