import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fabric } from '../../../src/fabric/node.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { Store } from '../../../src/fabric/store/store.js';
import { createFakeNode, recordOf, replicaOf, trioRecord, uuidOf } from '../../fakes/fake-node.js';
import { createFakeServers, type FakeServers } from '../../fakes/fake-servers.js';

/** Servers of which each has transactions that the others lack: no one of them becomes the primary by itself. */

const OLD = uuidOf(9);

let store: Store;
let servers: FakeServers;
let fabric: Fabric;
beforeEach(async () => {
  store = createMemoryStore();
  servers = createFakeServers();
  servers.add(uuidOf(1), 1, { executed: `${OLD}:1-12` });
  servers.add(uuidOf(2), 2, { executed: `${OLD}:1-10,${uuidOf(2)}:1-5` });
  fabric = createFakeNode(store, servers).fabric;
  await fabric.start();
});
afterEach(() => fabric.stop());

const without = { active: false, primary: null, baseline: `${OLD}:1-8` };
const primary = async () => (await store.group('g'))?.primary;
const refusal = (name: string, ...args: unknown[]) =>
  fabric.call(name, ...args).then(
    () => '',
    (error: Error) => error.message,
  );

describe('a promotion without a name', () => {
  test('is refused, with what the best one lacks', async () => {
    await store.createGroup(trioRecord({ ...without, servers: [recordOf(1, 2), recordOf(2, 2)] }));
    const reason = await refusal('group.promote', 'g');
    expect(reason).toContain(`server (${uuidOf(2)}) has the most transactions, and lacks ${OLD}:11-12 of`);
    expect(await primary()).toBeNull();
    expect([1, 2].map(n => servers.get(n).readOnly)).toEqual([true, true]);

    await fabric.call('threat.report_failure', uuidOf(2));
    await fabric.call('group.promote', 'g');
    expect(await primary()).toBe(uuidOf(1));
  });

  test('takes the one that has all that the others have', async () => {
    servers.get(2).executed = `${OLD}:1-10`;
    await store.createGroup(trioRecord({ ...without, servers: [recordOf(1, 2), recordOf(2, 2)] }));
    await fabric.call('group.promote', 'g');
    expect(await primary()).toBe(uuidOf(1));
  });
});

describe('a failover of a primary that nobody knows the beginning of', () => {
  const members = [recordOf(1, 2), recordOf(2, 2), recordOf(9, 3)];
  const unknown = { active: false, primary: OLD, baseline: null, servers: members };

  test('is refused, too, when it cannot be asked', async () => {
    await store.createGroup(trioRecord(unknown));
    expect(await refusal('threat.report_failure', OLD)).toContain('The servers have diverged');
    expect(await primary()).toBe(OLD);
  });

  test('goes by what it has itself, when it can be asked', async () => {
    servers.add(OLD, 9, { readOnly: false, executed: `${OLD}:1-12` });
    Object.assign(servers.get(2), replicaOf(9), { executed: `${OLD}:1-12,${uuidOf(2)}:1-5` });
    await store.createGroup(trioRecord(unknown));
    await fabric.call('threat.report_failure', OLD);
    expect(await primary()).toBe(uuidOf(1));
  });
});

describe('FAULTY to SPARE in a group without a primary', () => {
  const repair = () => refusal('server.set_status', uuidOf(2), 'spare');
  const lastDecision = async () => (await fabric.call('event.log', 'g')).rows.at(-1)?.description;

  test('is refused for a server that has diverged from another', async () => {
    await store.createGroup(trioRecord({ ...without, servers: [recordOf(1, 2), recordOf(2, 0)] }));
    expect(await repair()).toBe(
      `ServerError: Server (${uuidOf(2)}) has diverged from server (${uuidOf(1)}): it has ${uuidOf(2)}:1-5, and lacks ${OLD}:11-12.`,
    );
  });

  test('is refused for one that has diverged from what there was', async () => {
    await store.createGroup(trioRecord({ ...without, baseline: `${OLD}:1-11`, servers: [recordOf(2, 0)] }));
    expect(await repair()).toContain('has diverged from what there was at the last promotion');
  });

  test('says whether there was anybody to compare it with', async () => {
    await store.createGroup(trioRecord({ ...without, servers: [recordOf(2, 0)] }));
    expect(await repair()).toBe('');
    expect(await lastDecision()).toContain('it answers and could be compared with nobody');
  });

  test('admits the one that has more than the others', async () => {
    servers.get(1).executed = `${OLD}:1-10`;
    await store.createGroup(trioRecord({ ...without, servers: [recordOf(1, 2), recordOf(2, 0)] }));
    expect(await repair()).toBe('');
    expect(await lastDecision()).toContain('has not diverged from the 1 others that could be asked');
  });
});
