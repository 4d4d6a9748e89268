import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fabric } from '../../../src/fabric/node.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { Store } from '../../../src/fabric/store/store.js';
import { createFakeNode, createTrio, replicaOf, trioRecord, uuidOf, WRITTEN } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

/** What `update_only` has changed stays as it is in a group that is watched, until the servers are so or the next command. */

let store: Store;
let servers: FakeServers;
let fabric: Fabric;
beforeEach(async () => {
  store = createMemoryStore();
  servers = createTrio();
  await store.createGroup(trioRecord());
  fabric = createFakeNode(store, servers).fabric;
  await fabric.start();
  await sleep(LOOKS);
});
afterEach(() => fabric.stop());

/** ms in which each server is looked at several times, and a failover would have been tried again. */
const LOOKS = 800;

const shown = () => [1, 2, 3].map(n => ({ readOnly: servers.get(n).readOnly, source: servers.get(n).source?.port }));
const AS_BEFORE = [
  { readOnly: false, source: undefined },
  { readOnly: true, source: 1 },
  { readOnly: true, source: 1 },
];
const record = async (n: number) => (await store.group('g'))?.servers.find(({ uuid }) => uuid === uuidOf(n));
const sentences = async (command: string) =>
  (await fabric.call(command, 'g')).rows.map(row => String(row.sentence ?? row.description)).join('\n');
const untilAccepted = (n: number) => expect.poll(async () => (await record(n))?.byHand, { timeout: 5_000 }).toBe(false);

describe('threat.report_failure with update_only', () => {
  beforeEach(() => fabric.call('threat.report_failure', uuidOf(1), 'op', 'maintenance', true));

  test('leaves the group without a failover, and says so', async () => {
    await sleep(LOOKS);
    expect((await store.group('g'))?.primary).toBe(uuidOf(1));
    expect(await record(1)).toMatchObject({ status: 0, byHand: true });
    expect(await sentences('event.log')).toContain('maintenance; nobody takes over before the next command');
    expect(await sentences('group.why')).toContain('update_only has declared the primary FAULTY without one.');
  });

  test('clients that go on complaining change nothing', async () => {
    await fabric.stop();
    const failureTracking = { notifications: 1, notificationClients: 1 };
    fabric = createFakeNode(store, servers, { failureTracking }).fabric;
    await fabric.start();
    await fabric.call('threat.report_error', uuidOf(1), 'app', '2013');
    expect((await store.group('g'))?.primary).toBe(uuidOf(1));
  });

  test.each([
    ['group.promote', ['g']],
    ['threat.report_failure', [uuidOf(1)]],
  ] as const)('and then %s makes another the primary', async (name, args) => {
    await fabric.call(name, ...args);
    expect((await store.group('g'))?.primary).toBe(uuidOf(2));
    expect(await record(1)).toMatchObject({ status: 0, byHand: false });
  });
});

describe('group.promote with update_only', () => {
  beforeEach(() => fabric.call('group.promote', 'g', uuidOf(2), true));

  test('touches no server, and says so', async () => {
    await sleep(LOOKS);
    expect(shown()).toEqual(AS_BEFORE);
    expect((await store.group('g'))?.primary).toBe(uuidOf(2));
    expect(await sentences('event.log')).toContain('no server was touched, and none is until it accepts writes');
    expect(await sentences('group.why')).toContain('the node leaves the servers as they are until it accepts writes');
  });

  test('is known to the next node, too', async () => {
    await fabric.stop();
    fabric = createFakeNode(store, servers).fabric;
    await fabric.start();
    await sleep(LOOKS);
    expect(shown()).toEqual(AS_BEFORE);
  });

  test('opens nobody when the server restarts', async () => {
    servers.get(2).startedAt = Date.now() + 60_000;
    await sleep(LOOKS);
    expect(shown()).toEqual(AS_BEFORE);
  });

  test('is over when the server takes the writes: then the old primary is closed, and follows it', async () => {
    Object.assign(servers.get(2), { readOnly: false, source: null, executed: `${WRITTEN},${uuidOf(2)}:1` });
    await untilAccepted(2);
    await expect.poll(() => shown()[0], { timeout: 5_000 }).toEqual({ readOnly: true, source: 2 });
    expect((await store.group('g'))?.baseline).toBe(`${WRITTEN},${uuidOf(2)}:1`);
    expect(await sentences('event.log')).toContain('is in the place that update_only gave it: it accepts writes');
  });

  test('is taken back by another one', async () => {
    await fabric.call('group.promote', 'g', uuidOf(1), true);
    await untilAccepted(1);
    await sleep(LOOKS);
    expect(shown()).toEqual(AS_BEFORE);
    expect((await store.group('g'))?.servers.some(({ byHand }) => byHand)).toBe(false);
  });
});

describe('group.add with update_only', () => {
  beforeEach(async () => {
    servers.add(uuidOf(4), 4, { readOnly: false, executed: '' });
    await fabric.call('group.add', 'g', 'h:4', null, true);
  });

  test('does not touch the server, and says so', async () => {
    await sleep(LOOKS);
    expect(servers.get(4)).toMatchObject({ readOnly: false, source: null });
    expect(await sentences('event.log')).toContain('the server was not touched, and is not until it refuses writes');
    expect(await sentences('group.why')).toContain('is left as it is, by update_only, until it refuses writes');
  });

  test('is over when the server follows the primary', async () => {
    Object.assign(servers.get(4), replicaOf(1));
    await untilAccepted(4);
    servers.get(4).readOnly = false;
    servers.get(4).startedAt = Date.now();
    await fabric.call('group.deactivate', 'g');
    await fabric.call('group.activate', 'g');
    await expect.poll(() => servers.get(4).readOnly, { timeout: 5_000 }).toBe(true);
  });

  test('is over with the next command about it', async () => {
    await fabric.call('server.set_status', uuidOf(4), 'spare');
    await expect.poll(() => servers.get(4).source, { timeout: 5_000 }).toMatchObject({ host: 'h', port: 1 });
  });

  test('is no candidate of a failover, and not touched by one', async () => {
    servers.get(4).executed = `${uuidOf(4)}:1-3`; // it is being loaded
    for (const n of [2, 3]) Object.assign(servers.get(n), { io: 'connecting', ioError: 'lost' });
    servers.get(1).up = false;
    await expect.poll(async () => (await store.group('g'))?.primary, { timeout: 5_000 }).toBe(uuidOf(2));
    await sleep(LOOKS);
    expect(servers.get(4)).toMatchObject({ readOnly: false, source: null });
    expect(await record(4)).toMatchObject({ status: 2, byHand: true });
  });

  test('is not put into its place by a failover that failed, and so becomes no candidate', async () => {
    for (const n of [2, 3]) await fabric.call('group.remove', 'g', uuidOf(n));
    Object.assign(servers.get(4), { ...replicaOf(1), readOnly: false, io: 'stopped', sql: 'stopped' });
    servers.get(1).up = false;
    await expect
      .poll(() => sentences('group.why'), { timeout: 8_000 })
      .toContain('update_only has changed it in the state store alone');
    await sleep(2_000); // it is tried again
    expect((await store.group('g'))?.primary).toBe(uuidOf(1));
    expect(servers.get(4)).toMatchObject({ readOnly: false, io: 'stopped' });
    expect(await record(4)).toMatchObject({ byHand: true });
  });

  test('in a group that is not watched, follows the new primary after a failover when it followed the old one', async () => {
    await fabric.call('group.deactivate', 'g');
    Object.assign(servers.get(4), replicaOf(1));
    for (const n of [2, 3, 4]) Object.assign(servers.get(n), { io: 'connecting', ioError: 'lost' });
    servers.get(1).up = false;
    await fabric.call('threat.report_failure', uuidOf(1), 'op', 'lost');
    const { primary } = (await store.group('g')) ?? {};
    expect(primary).not.toBe(uuidOf(1));
    if (primary !== uuidOf(4)) expect(servers.get(4).source?.port).toBe(Number(String(primary).slice(-1)));
    expect(await record(4)).toMatchObject({ byHand: false });
  });

  test('is no candidate even when it is the only one left, for nobody knows what is on it', async () => {
    for (const n of [2, 3]) await fabric.call('group.remove', 'g', uuidOf(n));
    servers.get(1).up = false;
    await expect
      .poll(() => sentences('group.why'), { timeout: 8_000 })
      .toContain('update_only has changed it in the state store alone');
    expect((await store.group('g'))?.primary).toBe(uuidOf(1));
    expect(servers.get(4)).toMatchObject({ readOnly: false, source: null });
  });

  test('is over when a primary is promoted by an operator', async () => {
    await fabric.call('group.promote', 'g', uuidOf(2));
    expect(servers.get(4)).toMatchObject({ readOnly: true, source: { port: 2 } });
    expect(await record(4)).toMatchObject({ byHand: false });
  });
});

test('a group whose servers update_only has added gets a primary, and the others follow it', async () => {
  await fabric.call('group.create', 'new');
  for (const n of [5, 6]) {
    servers.add(uuidOf(n), n, { readOnly: false, executed: '' });
    await fabric.call('group.add', 'new', `h:${n}`, null, true);
  }
  await fabric.call('group.promote', 'new');
  const group = await store.group('new');
  expect(group?.servers.map(({ byHand }) => byHand)).toEqual([false, false]);
  const [chosen, other] = group?.primary === uuidOf(5) ? [5, 6] : [6, 5];
  expect(servers.get(chosen).readOnly).toBe(false);
  expect(servers.get(other)).toMatchObject({ readOnly: true, source: { port: chosen } });
});

test('server.set_status with update_only leaves the server as it is', async () => {
  await fabric.call('threat.report_failure', uuidOf(3), 'op', 'broken');
  Object.assign(servers.get(3), { source: null, sourceUuid: '' });
  await fabric.call('server.set_status', uuidOf(3), 'spare', true);
  await sleep(LOOKS);
  expect(servers.get(3).source).toBeNull();
  expect(await record(3)).toMatchObject({ status: 1, byHand: true });
});
