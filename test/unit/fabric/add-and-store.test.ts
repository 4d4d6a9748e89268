import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import { InDoubt, type RunRecord, type Store } from '../../../src/fabric/store/store.js';
import { createFakeNode, createTrio, recordOf, trioRecord, uuidOf } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

/** The state store fails as a server joins its group: no member is left that follows nobody, and no server that follows is left outside. */

let memory: Store;
let servers: FakeServers;
let node: ReturnType<typeof createFakeNode>;
beforeEach(async () => {
  memory = createMemoryStore();
  await memory.createGroup(trioRecord({ active: false, servers: [recordOf(1, 3), recordOf(2, 2)] }));
  servers = createTrio();
  servers.get(3).source = null;
});
afterEach(() => node.fabric.stop());

async function addOn(store: Partial<Store>): Promise<string> {
  node = createFakeNode({ ...memory, ...store }, servers);
  await node.fabric.start();
  return await node.fabric.call('group.add', 'g', 'h:3').then(
    () => '',
    ({ message }: Error) => message,
  );
}
const isMember = async () => (await memory.group('g'))?.servers.some(({ uuid }) => uuid === uuidOf(3));

test('the record that it has joined is not taken', async () => {
  let failures = 0;
  const saveRun = async (run: RunRecord) => {
    if ((await isMember()) && failures < 2) {
      failures += 1;
      throw new Error('disk full');
    }
    await memory.saveRun(run);
  };
  await addOn({ saveRun });
  await expect.poll(() => memory.unfinishedRuns(), { timeout: 5_000 }).toEqual([]);
  expect([await isMember(), servers.get(3).source?.port]).toEqual([true, 1]);
});

test('the group is stored with it, without being confirmed', async () => {
  const saveGroup: Store['saveGroup'] = async group => {
    await memory.saveGroup(group);
    throw new InDoubt(new Error('Connection lost'));
  };
  expect(await addOn({ saveGroup })).toContain('may be stored or not');
  expect([await isMember(), servers.get(3).source?.port]).toEqual([true, 1]);
});

test('the group is not stored with it', async () => {
  expect(await addOn({ saveGroup: () => Promise.reject(new Error('disk full')) })).toContain('disk full');
  expect([await isMember(), servers.get(3).source]).toEqual([false, null]);
});
