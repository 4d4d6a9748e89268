import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import { changeGroup } from '../../../src/fabric/procedures/group-record.js';
import type { Procedure, Step, StepContext } from '../../../src/fabric/procedures/run.js';
import { createRunner, type Runner } from '../../../src/fabric/procedures/runner.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import { InDoubt, type RunRecord, type Store } from '../../../src/fabric/store/store.js';

/** Runs whose store takes no changes, or does not say whether it took them, and runs that are over. */

let memory: Store;
let sentences: string[];
let done: string[];
beforeEach(async () => {
  memory = createMemoryStore();
  const empty = { description: null, active: false, primary: null, primarySince: null, baseline: null };
  await memory.createGroup({ id: 'g', ...empty, servers: [] });
  sentences = [];
  done = [];
});

function runnerOn(store: Store): Runner {
  const say = (sentence: string) => void sentences.push(sentence);
  return createRunner({
    options: parseFabricOptions({ servers: { user: 'u', password: 'p' }, protocol: { xmlrpc: { password: 'p' } } }),
    store,
    replication: { connect: async () => Promise.reject(new Error('no servers here')) },
    log: { debug: say, info: say, warn: say, error: say },
    now: Date.now,
  });
}
const step = (name: string, more: Partial<Step> = {}): Step => ({
  name,
  run: async () => void done.push(name),
  ...more,
});
const procedure = (name: string, ...steps: Step[]): Procedure => ({ name, group: 'g', data: { group: 'g' }, steps });

describe('a run whose first record was stored without being confirmed', () => {
  test.each([
    ['the store says so', new InDoubt(new Error('Connection lost'))],
    ['who asked the store says so', new Error('no', { cause: new InDoubt(new Error('Connection lost')) })],
  ])('is recorded as ended, and not carried out by a later start: %s', async (_who, reason) => {
    let doubts = 2;
    const saveRun = async (run: RunRecord) => {
      if (doubts === 2) await memory.saveRun(run);
      doubts -= 1;
      if (doubts >= 0) throw reason;
      await memory.saveRun(run);
    };
    const runner = runnerOn({ ...memory, saveRun });
    const record = await runner.run(procedure('first', step('one'))).done;
    expect(record).toMatchObject({ finished: true, error: reason.message });
    await expect.poll(() => memory.unfinishedRuns(), { timeout: 3_000 }).toEqual([]);
    expect(done).toEqual([]);
  });
});

describe('who waits behind a run that waits for the store', () => {
  let full: boolean;
  let runner: Runner;
  beforeEach(() => {
    full = false;
    const saveRun = async (run: RunRecord) => {
      if (full) throw new Error('disk full');
      await memory.saveRun(run);
    };
    runner = runnerOn({ ...memory, saveRun });
  });
  const last = step('last', {
    final: true,
    async run() {
      await sleep(20);
      full = true;
    },
  });
  const WAITS = /^ProcedureError: first \(.+\) holds group g, and waits for the state store, which takes no changes\.$/;

  test('is answered at once, and not carried out later', async () => {
    const first = runner.run(procedure('first', last));
    const second = runner.run(procedure('second', step('two')));
    const reports = { ...procedure('third', step('three')), once: 'reports' };
    const [third, same] = [runner.run(reports), runner.run(reports)];
    expect(same.uuid).toBe(third.uuid);
    expect((await first.done).error).toContain('goes on when it does');
    for (const run of [second, third, same]) expect((await run.done).error).toMatch(WAITS);
    expect((await runner.run(reports).done).error).toMatch(WAITS);
    full = false;
    await expect.poll(() => runner.busy('g'), { timeout: 3_000 }).toBe(false);
    expect(done).toEqual([]);
    expect((await runner.run(reports).done).error).toBeNull();
    expect(done).toEqual(['three']);
  });

  test('is carried out later when a killed node had begun it', async () => {
    const first = runner.run(procedure('first', last));
    const events = [{ state: 3, success: 2, at: 1_000, description: 'Triggered by second.' }] as const;
    const before = { ...{ uuid: 'r', procedure: 'second', group: 'g', step: 0, data: '{}' }, events };
    const second = runner.resume({ ...before, finished: false, error: null }, procedure('second', step('two')));
    expect((await first.done).error).toContain('goes on when it does');
    full = false;
    expect((await second.done).error).toBeNull();
    expect(done).toEqual(['two']);
  });
});

describe('what is over changes the store no more', () => {
  const zombie = async (_data: unknown, context: StepContext) => {
    await sleep(100);
    const change = changeGroup(context, 'g', group => ({ ...group, description: 'changed too late' }));
    await change.catch((error: Error) => done.push(error.message));
  };
  const OVER = ['The state store failed: The procedure has ended.'];
  const nothingChanged = async () => {
    await expect.poll(() => done).toEqual(OVER);
    expect((await memory.group('g'))?.description).toBeNull();
  };

  test('a step that passed its bound', async () => {
    const run = runnerOn(memory).run(procedure('slow', step('slow', { bound: 20, run: zombie })));
    expect((await run.done).error).toContain('took longer than 20 ms');
    await nothingChanged();
  });

  test('a step, and taking back, that were left when the node stopped', async () => {
    const runner = runnerOn(memory);
    void runner.run(procedure('slow', step('slow', { run: zombie })));
    await sleep(20);
    await runner.stop(0);
    await nothingChanged();
    done = [];
    const again = runnerOn(memory);
    const broken = step('broken', { run: () => Promise.reject(new Error('no')), undo: zombie });
    void again.run(procedure('broken', broken));
    await sleep(20);
    await again.stop(0);
    await nothingChanged();
  });
});
