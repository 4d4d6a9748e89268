import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ManagedServer } from '../../../src/fabric/replication/replication.js';
import { recordOf, uuidOf, WRITTEN } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';
import { having, WatchedNode } from '../../fakes/watched-node.js';

/** A group without a primary, or whose successor applications have chosen already: nobody knows yet whose transactions are the right ones. */

const NEW = { active: false, primary: null, primarySince: null, baseline: null };

let node: WatchedNode;
let servers: FakeServers;
let followed: [number, number][];
beforeEach(() => {
  node = new WatchedNode();
  servers = node.servers;
  followed = [];
});
afterEach(() => node.stop());

const noting = (server: ManagedServer, port: number): Partial<ManagedServer> => ({
  follow(source) {
    followed.push([port, source.port]);
    return server.follow(source);
  },
});
const promote = (n: number) => node.fabric.call('group.promote', 'g', uuidOf(n));

describe('a server that an application uses is promoted as it is', () => {
  test.each([
    ['secondary', 2],
    ['spare', 1],
  ] as const)('beside a %s that has a transaction of its own', async (_kind, status) => {
    servers.get(2).executed = `${WRITTEN},${uuidOf(2)}:1`;
    const members = [recordOf(1, 2), recordOf(2, status), recordOf(3, 2)];
    await node.start({ ...NEW, servers: members }, (server, { port }) => noting(server, port));
    await promote(1);
    expect(node.writable()).toEqual([1]);
    expect(followed.filter(([port]) => port === 1)).toEqual([]);
  });

  test('beside one that may not be a primary, has one of its own, and acknowledges', async () => {
    servers.get(2).executed = `${WRITTEN},${uuidOf(2)}:1`;
    await node.start({ ...NEW, servers: [recordOf(1, 2), recordOf(2, 2), recordOf(3, 2)] }, (server, { port }) => ({
      ...noting(server, port),
      semiSync: async () => ({ role: 'secondary', active: false }),
      requirementIssues: async () => (port === 2 ? ['log_slave_updates is off'] : []),
    }));
    await promote(1);
    expect(node.writable()).toEqual([1]);
  });

  test('also when another one has more of a lost primary', async () => {
    servers.get(1).up = false;
    Object.assign(servers.get(2), { readOnly: false, source: null, executed: `${WRITTEN},${uuidOf(2)}:1-5` });
    servers.get(3).executed = `${uuidOf(1)}:1-11`;
    const members = [recordOf(1, 0), recordOf(2, 2), recordOf(3, 2)];
    await node.start({ active: false, baseline: null, servers: members }, (server, { port }) => noting(server, port));
    await promote(2);
    expect(node.writable()).toEqual([2]);
    expect(followed.filter(([port]) => port === 2)).toEqual([]);
  });
});

test.each([
  ['in use', false],
  ['not in use', true],
])(
  'after group.demote a server that is %s is promoted beside a spare with a transaction of its own',
  async (_what, readOnly) => {
    servers.get(1).readOnly = readOnly;
    servers.get(3).executed = `${WRITTEN},${uuidOf(3)}:1`;
    const members = [recordOf(1, 2), recordOf(2, 2), recordOf(3, 1)];
    await node.start({ ...NEW, baseline: WRITTEN, servers: members });
    await promote(1);
    expect(node.writable()).toEqual([1]);
  },
);

test('a server that is in use has all that others have received from it meanwhile', async () => {
  let written = 10;
  const ofOne = () => `${uuidOf(1)}:1-${written}`;
  await node.start({ ...NEW, servers: [recordOf(1, 2), recordOf(2, 2), recordOf(3, 2)] }, (server, { port }) => ({
    semiSync: async () => ({ role: 'secondary', active: true }),
    async executed() {
      if (port !== 1) return WRITTEN;
      written += 1;
      return ofOne();
    },
    async stopReceiving() {
      await sleep(50);
      await server.stopReceiving();
    },
    async replicaStatus() {
      written += 1;
      return having(server, port === 3 ? { retrieved: ofOne(), delay: 3_600 } : {});
    },
  }));
  await promote(1);
  expect(node.writable()).toEqual([1]);
});

test('the candidate does not get what a spare alone has', async () => {
  servers.get(1).up = false;
  servers.get(3).executed = `${WRITTEN},${uuidOf(3)}:1`;
  await node.start({ ...NEW, servers: [recordOf(2, 2), recordOf(3, 1)] }, (server, { port }) => noting(server, port));
  await node.fabric.call('group.promote', 'g');
  expect(node.opened).toEqual([[2, []]]);
  expect(followed.filter(([port]) => port === 2)).toEqual([]);
});

describe('the others receive again when nobody could be promoted', () => {
  beforeEach(() => {
    for (const port of [2, 3]) servers.get(port).executed = `${WRITTEN},${uuidOf(port)}:1`;
  });
  const receivers = () => [2, 3].map(port => servers.get(port).io);

  test.each([
    ['in a new group', NEW, false],
    ['after update_only has added them', NEW, true],
    ['after a primary was lost', { ...NEW, primary: uuidOf(1) }, true],
  ])('%s', async (_when, group, byHand) => {
    servers.get(1).up = false;
    const members = [recordOf(2, 2, { byHand }), recordOf(3, 2, { byHand })];
    await node.start({ ...group, servers: group.primary ? [recordOf(1, 0), ...members] : members });
    await expect(node.fabric.call('group.promote', 'g')).rejects.toThrow('The servers have diverged');
    expect(receivers()).toEqual(['running', 'running']);
  });

  test('when they follow the primary by another address', async () => {
    servers.get(1).up = false;
    for (const port of [2, 3]) servers.get(port).source = { host: 'internal', port: 1 };
    await node.start({ active: false });
    await expect(node.reported()).rejects.toThrow('errant');
    expect(receivers()).toEqual(['running', 'running']);
  });
});

test('a candidate that could not be opened replicates again', async () => {
  servers.get(1).up = false;
  await node.start({ active: false, servers: [recordOf(1, 3), recordOf(2, 2)] }, (server, { port }) => ({
    async forgetSource() {
      if (port !== 2) return server.forgetSource();
      await server.stopReplication();
      throw new Error('no privilege');
    },
  }));
  await expect(node.reported()).rejects.toThrow('no privilege');
  expect([servers.get(2).io, servers.get(2).sql]).toEqual(['running', 'running']);
});
