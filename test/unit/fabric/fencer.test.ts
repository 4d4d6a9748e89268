import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fabric } from '../../../src/fabric/node.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { Store } from '../../../src/fabric/store/store.js';
import { createFakeNode, createTrio, trioRecord, uuidOf } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

let store: Store;
let servers: FakeServers;
let fabric: Fabric;
beforeEach(async () => {
  store = createMemoryStore();
  servers = createTrio();
  await store.createGroup(trioRecord());
  fabric = createFakeNode(store, servers).fabric;
  await fabric.start();
});
afterEach(() => fabric.stop());

const status = async (n: number) => (await store.group('g'))?.servers.find(({ uuid }) => uuid === uuidOf(n))?.status;
const saidOf = async (n: number) => {
  const { rows } = await fabric.call('group.why', 'g');
  return rows.map(row => String(row.sentence)).find(sentence => sentence.startsWith(`h:${n} `));
};
const decisions = async () => (await fabric.call('event.log', 'g')).rows.map(row => String(row.description)).join('\n');

test('a lost primary that has restarted while there was no node is fenced again', async () => {
  await fabric.call('threat.report_failure', uuidOf(1), 'op', 'lost');
  expect(servers.get(1).readOnly).toBe(true);
  await fabric.stop();
  servers.get(1).readOnly = false;
  fabric = createFakeNode(store, servers).fabric;
  await fabric.start();
  await expect.poll(() => servers.get(1).readOnly, { timeout: 5_000 }).toBe(true);
  expect(await status(1)).toBe(0);
});

test('a lost secondary that comes back writable is fenced, and nobody says so before', async () => {
  servers.get(2).up = false;
  await expect.poll(() => status(2), { timeout: 5_000 }).toBe(0);
  expect(await saidOf(2)).toContain('what it accepts is not known: it is fenced should it come back and accept writes');
  Object.assign(servers.get(2), { up: true, readOnly: false });
  await expect.poll(() => servers.get(2).readOnly, { timeout: 5_000 }).toBe(true);
  await expect.poll(decisions).toContain(`server ${uuidOf(2)} (h:2) of group g came back and is fenced`);
});

test('another server that has got the address of a FAULTY one is not fenced', async () => {
  await fabric.call('threat.report_failure', uuidOf(3), 'op', 'lost');
  await fabric.stop();
  const other = servers.get(3);
  Object.assign(other, { uuid: uuidOf(9), readOnly: false });
  fabric = createFakeNode(store, servers).fabric;
  await fabric.start();
  await sleep(1_500);
  expect(other.readOnly).toBe(false);
});

test('another server that has got the address of the lost primary is neither fenced by a failover nor made the primary', async () => {
  await fabric.stop();
  const other = servers.get(1);
  Object.assign(other, { uuid: uuidOf(9), executed: '' });
  fabric = createFakeNode(store, servers).fabric;
  await fabric.start();
  await fabric.call('threat.report_failure', uuidOf(1), 'op', 'lost');
  expect((await store.group('g'))?.primary).toBe(uuidOf(2));
  expect(other.readOnly).toBe(false);
  for (const n of [2, 3]) servers.get(n).up = false;
  await fabric.call('threat.report_failure', uuidOf(2), 'op', 'lost').catch(() => {});
  await sleep(1_500);
  expect(other.readOnly).toBe(false);
});

test('a fence that is lifted as soon as it is told stays so', async () => {
  servers.get(2).up = false;
  await expect.poll(() => status(2), { timeout: 5_000 }).toBe(0);
  Object.assign(servers.get(2), { up: true, readOnly: false });
  await expect.poll(decisions, { interval: 5, timeout: 5_000 }).toContain('of group g came back and is fenced');
  servers.get(2).readOnly = false;
  await sleep(1_500);
  expect(servers.get(2).readOnly).toBe(false);
});

test('a fence that an operator lifts stays so while the node runs', async () => {
  await fabric.call('threat.report_failure', uuidOf(1), 'op', 'lost');
  await sleep(1_000);
  servers.get(1).readOnly = false;
  await sleep(1_500);
  expect(servers.get(1).readOnly).toBe(false);
});
