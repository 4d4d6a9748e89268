import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Replication } from '../../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { RunRecord, Store } from '../../../src/fabric/store/store.js';
import { createFakeNode, createTrio, trioRecord, uuidOf } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

/** The state store takes no changes for a while, in the middle of a procedure: its disk is full, or its server read-only. */

let memory: Store;
let servers: FakeServers;
let full: boolean;
let node: ReturnType<typeof createFakeNode>;
let endNow: (reason: Error) => void;
beforeEach(async () => {
  memory = createMemoryStore();
  await memory.createGroup(trioRecord({ active: false }));
  servers = createTrio();
  full = false;
});
afterEach(() => node.fabric.stop());

/** @param noted is told of each record. */
function nodeUnlessFull(replication: Replication = servers, noted = (_run: RunRecord) => {}) {
  const unlessFull =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      if (full) throw new Error('database or disk is full');
      return work(...args);
    };
  const saveRun = unlessFull(async (run: RunRecord) => {
    await memory.saveRun(run);
    noted(run);
  });
  const { saveGroup, noteRun, addDecision } = memory;
  const guarded = {
    saveGroup: unlessFull(saveGroup),
    noteRun: unlessFull(noteRun),
    addDecision: unlessFull(addDecision),
  };
  const claim: Store['claim'] = async lost => {
    endNow = lost;
  };
  return createFakeNode({ ...memory, ...guarded, saveRun, claim }, replication);
}
/** @param isLast the record that is the last one to be taken. */
async function startUntil(isLast: (run: RunRecord) => boolean, replication: Replication = servers) {
  let happened = false;
  node = nodeUnlessFull(replication, run => {
    full ||= !happened && isLast(run);
    happened ||= full;
  });
  await node.fabric.start();
}
async function restart(): Promise<void> {
  await node.fabric.stop();
  node = createFakeNode(memory, servers);
  await node.fabric.start();
}
const has = (run: RunRecord, step: string) => run.events.at(-1)?.description === `Executed action (${step}).`;
const writable = () => [1, 2, 3].filter(port => !servers.get(port).readOnly);
const primary = async () => (await memory.group('g'))?.primary;
const recorded = () => expect.poll(() => memory.unfinishedRuns(), { timeout: 5_000 }).toEqual([]);
const WAITS =
  /^ProcedureError: group\.promote \(.+\) holds group g, and waits for the state store, which takes no changes\.$/;

test('a switchover is taken back when the store is well again, and not before', async () => {
  await startUntil(run => has(run, 'block writes on the old primary'));
  const promotion = node.fabric.call('group.promote', 'g', uuidOf(2));
  await expect(promotion).rejects.toThrow(
    'database or disk is full (The state store takes no changes: what was done is taken back when it does.)',
  );
  expect([await primary(), writable()]).toEqual([null, []]);
  await expect(node.fabric.call('group.promote', 'g', uuidOf(3))).rejects.toThrow(WAITS);
  full = false;
  await recorded();
  expect([await primary(), writable()]).toEqual([uuidOf(1), [1]]);
  await node.fabric.call('group.promote', 'g', uuidOf(3));
  await restart();
  expect([await primary(), writable()]).toEqual([uuidOf(3), [3]]);
});

test('taking back is tried again when the store fails in the middle of it', async () => {
  await startUntil(run => run.error !== null && !run.finished, {
    connect: async (address, timeout) => ({
      ...(await servers.connect(address, timeout)),
      ...(address.port === 2 && { setSemiSync: () => Promise.reject(new Error('no such plugin')) }),
    }),
  });
  await expect(node.fabric.call('group.promote', 'g', uuidOf(2))).rejects.toThrow(
    'no such plugin (The state store takes no changes',
  );
  full = false;
  await recorded();
  expect([await primary(), writable()]).toEqual([uuidOf(1), [1]]);
});

test('a promotion whose end could not be recorded is not carried out again after a later one', async () => {
  await startUntil(run => has(run, 'make the candidate the primary in the state store'));
  await expect(node.fabric.call('group.promote', 'g', uuidOf(2))).rejects.toThrow('the procedure goes on when it does');
  expect(writable()).toEqual([2]);
  await expect(node.fabric.call('group.promote', 'g', uuidOf(3))).rejects.toThrow(WAITS);
  full = false;
  await recorded();
  expect([1, 3].map(port => servers.get(port).source?.port)).toEqual([2, 2]);
  await node.fabric.call('group.promote', 'g', uuidOf(3));
  await restart();
  expect([await primary(), writable()]).toEqual([uuidOf(3), [3]]);
});

test('a node that stops meanwhile leaves the rest to the next start', async () => {
  await startUntil(run => has(run, 'make the candidate the primary in the state store'));
  await expect(node.fabric.call('group.promote', 'g', uuidOf(2))).rejects.toThrow('takes no changes');
  const stopping = node.fabric.stop();
  full = false;
  await stopping;
  await restart();
  expect(await memory.unfinishedRuns()).toEqual([]);
  expect([1, 3].map(port => servers.get(port).source?.port)).toEqual([2, 2]);
});

test('what a killed node left is gone on with also when the store takes no changes as the next one starts', async () => {
  await startUntil(run => has(run, 'block writes on the old primary'));
  const promotion = expect(node.fabric.call('group.promote', 'g', uuidOf(2))).rejects.toThrow();
  await expect.poll(() => full).toBe(true);
  endNow(new Error('killed'));
  await promotion;
  await node.fabric.stopped();
  expect(await memory.unfinishedRuns()).toHaveLength(1);
  node = nodeUnlessFull();
  const starting = node.fabric.start();
  await expect.poll(() => node.sentences.join()).toContain('could not be recorded');
  full = false;
  await starting;
  await recorded();
  expect([await primary(), writable()]).toEqual([uuidOf(2), [2]]);
});

test('a start does not fail because what it drops cannot be recorded', async () => {
  const done = { procedure: 'server.set_weight', group: 'g', step: 0, data: '{}', events: [] };
  await memory.saveRun({ ...done, uuid: 'dropped', finished: false, error: null });
  full = true;
  node = nodeUnlessFull();
  await node.fabric.start();
  expect(node.sentences.join()).toContain('disk is full');
  full = false;
  await restart();
  await recorded();
});
