import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Context } from '../../../src/fabric/context.js';
import { CommandError } from '../../../src/fabric/errors.js';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import { requireGroup } from '../../../src/fabric/procedures/group-record.js';
import type { Procedure, Step, StepContext } from '../../../src/fabric/procedures/run.js';
import { createRunner, type Runner } from '../../../src/fabric/procedures/runner.js';
import type { ManagedServer } from '../../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { RunRecord, Store } from '../../../src/fabric/store/store.js';

let done: string[];
let sentences: string[];
let saved: RunRecord[];
let runner: Runner;

function contextWith(store: Store): Context {
  const say = (sentence: string) => {
    sentences.push(sentence);
  };
  return {
    options: parseFabricOptions({ servers: { user: 'u', password: 'p' }, protocol: { xmlrpc: { password: 'p' } } }),
    store,
    replication: { connect: async () => Promise.reject(new Error('no servers here')) },
    log: { debug: say, info: say, warn: say, error: say },
    now: () => 1_000,
  };
}

beforeEach(() => {
  done = [];
  sentences = [];
  saved = [];
  const store = createMemoryStore();
  const { saveRun } = store;
  store.saveRun = async run => {
    saved.push(run);
    await saveRun(run);
  };
  runner = createRunner(contextWith(store));
});

afterEach(() => {
  vi.useRealTimers();
});

const GROUP = { description: null, active: false, primary: null, primarySince: null, baseline: null, servers: [] };

const step = (name: string, more: Partial<Step> = {}): Step => ({
  name,
  run: async () => {
    done.push(name);
  },
  undo: async () => {
    done.push(`undo ${name}`);
  },
  ...more,
});
const fails = (name: string, error: unknown = new Error('no'), more: Partial<Step> = {}): Step =>
  step(name, { run: () => Promise.reject(error), ...more });
const slow = (name: string, ms: number) =>
  step(name, {
    run: async () => {
      done.push(`${name} begins`);
      await sleep(ms);
      done.push(`${name} ends`);
    },
  });
const procedure = (steps: Step[], group = 'g'): Procedure => ({ name: 'group.test', group, data: { seen: 0 }, steps });

describe('a procedure', () => {
  test('runs its steps in order and is recorded before the first, after each, and at the end', async () => {
    const record = await runner.run(procedure([step('one'), step('two')])).done;
    expect(done).toEqual(['one', 'two']);
    expect(record).toMatchObject({ finished: true, error: null, step: 2, procedure: 'group.test', group: 'g' });
    expect(saved.map(run => [run.step, run.finished])).toEqual([
      [0, false],
      [1, false],
      [2, false],
      [2, true],
    ]);
    expect(record.events.map(({ state, success, description }) => [state, success, description])).toEqual([
      [3, 2, 'Triggered by group.test.'],
      [4, 2, 'Executing action (one).'],
      [5, 2, 'Executed action (one).'],
      [4, 2, 'Executing action (two).'],
      [5, 2, 'Executed action (two).'],
    ]);
  });

  test('that is to wait only once for its turn is the same for all who ask while it waits', async () => {
    const once = (name: string) => runner.run({ ...procedure([slow(name, 5)]), once: 'reports' });
    const first = once('first');
    const same = once('same');
    expect(same.uuid).toBe(first.uuid);
    while (done.length === 0) await sleep(1);
    const next = once('next');
    const other = runner.run({ ...procedure([step('other')]), once: 'others' });
    expect(new Set([first.uuid, next.uuid, other.uuid]).size).toBe(3);
    await Promise.all([first.done, same.done, next.done, other.done]);
    expect(done).toEqual(['first begins', 'first ends', 'next begins', 'next ends', 'other']);
    const last = once('last');
    expect(last.uuid).not.toBe(next.uuid);
    await last.done;
  });

  test('hands its data from step to step, recorded, and may choose the rest of its steps by it', async () => {
    const decide = step('decide', {
      run: async data => {
        data.seen = 7;
      },
    });
    const record = await runner.run({ ...procedure([decide]), rest: ({ seen }) => [step(`rest ${String(seen)}`)] })
      .done;
    expect(done).toEqual(['rest 7']);
    expect(JSON.parse(record.data)).toEqual({ seen: 7 });
  });

  test('that fails is taken back, last step first, the failed one included', async () => {
    const record = await runner.run(procedure([step('one'), step('two'), fails('three'), step('four')])).done;
    expect(done).toEqual(['one', 'two', 'undo three', 'undo two', 'undo one']);
    expect(record).toMatchObject({ finished: true, error: 'no', step: 2 });
    expect(record.events.at(-1)).toMatchObject({
      state: 5,
      success: 1,
      description: 'Tried to execute action (three).',
    });
  });

  test('is taken back whole even when one undo fails', async () => {
    const broken = step('two', { undo: () => Promise.reject(new Error('stuck')) });
    await runner.run(procedure([step('one'), broken, fails('three')])).done;
    expect(done).toEqual(['one', 'two', 'undo three', 'undo one']);
    expect(sentences.join()).toContain("taking back 'two' failed: stuck");
  });

  test('is not taken back behind a final step', async () => {
    await runner.run(procedure([step('one'), step('two', { final: true }), step('three'), fails('four')])).done;
    expect(done).toEqual(['one', 'two', 'three', 'undo four', 'undo three']);
  });

  test('that passes a bound counts as failed', async () => {
    const endless = step('endless', { bound: 20, run: () => new Promise(() => {}) });
    const record = await runner.run(procedure([step('one'), endless])).done;
    expect(record.error).toBe("ProcedureError: 'endless' took longer than 20 ms.");
    expect(done).toEqual(['one', 'undo endless', 'undo one']);
  });

  test('carries the kind of a refusal in its error', async () => {
    const record = await runner.run(procedure([fails('one', new CommandError('GroupError', 'Not so.'))])).done;
    expect(record.error).toBe('GroupError: Not so.');
  });

  test('survives a step that throws nothing of ours', async () => {
    expect((await runner.run(procedure([fails('one', 'text')])).done).error).toBe('text');
    expect((await runner.run(procedure([fails('one', null)])).done).error).toBe('null');
  });

  test('ends with an error, and never rejects, when the store is down', async () => {
    const store = createMemoryStore();
    store.saveRun = () => Promise.reject(new Error('store is down'));
    const record = await createRunner(contextWith(store)).run(procedure([step('one')])).done;
    expect(record).toMatchObject({ finished: true, error: 'store is down' });
    expect(done).toEqual([]);
  });
});

describe('the lock of a group', () => {
  test('lets procedures of one group wait for each other, in order', async () => {
    const first = runner.run(procedure([slow('one', 30)]));
    const second = runner.run(procedure([fails('two')]));
    const third = runner.run(procedure([slow('three', 1)]));
    expect(runner.busy('g')).toBe(true);
    await Promise.all([first.done, second.done, third.done]);
    expect(done).toEqual(['one begins', 'one ends', 'undo two', 'three begins', 'three ends']);
    await sleep(1);
    expect(runner.busy('g')).toBe(false);
  });

  test('does not hold up other groups', async () => {
    const first = runner.run(procedure([slow('one', 30)], 'a'));
    const second = runner.run(procedure([slow('two', 1)], 'b'));
    await Promise.all([first.done, second.done]);
    expect(done).toEqual(['one begins', 'two begins', 'two ends', 'one ends']);
  });
});

describe('the runner', () => {
  test('waits for runs under way and finds finished ones; unknown ones are refused', async () => {
    const { uuid, done: ended } = runner.run(procedure([slow('one', 10)]));
    expect((await runner.wait(uuid, 5_000)).finished).toBe(true);
    await ended;
    expect((await runner.wait(uuid, 0)).uuid).toBe(uuid);
    await expect(runner.wait('nobody', 5_000)).rejects.toThrow('Procedure (nobody) was not found.');
  });

  test('waits no longer than it is told, and says when a run has not ended', async () => {
    const { uuid, done: ended } = runner.run(procedure([slow('one', 100)]));
    await expect(runner.wait(uuid, 5)).rejects.toThrow(`'Procedure (${uuid})' took longer than 5 ms.`);
    await ended;
  });

  test('leaves what does not end in time as it was recorded, takes nothing back, and begins nothing that waited', async () => {
    const stuck = step('stuck', { run: () => new Promise(() => {}) });
    const running = runner.run(procedure([step('one'), stuck]));
    const waiting = runner.run(procedure([step('two')]));
    await runner.stop(20);
    expect((await running.done).error).toMatch(/^ProcedureError: The node has stopped/);
    expect((await waiting.done).error).toMatch(/^ProcedureError: This node is stopping/);
    expect(done).toEqual(['one']);
    const last = saved.filter(({ uuid }) => uuid === running.uuid).at(-1);
    expect(last).toMatchObject({ step: 1, finished: false, error: null });
  });

  test('stops: waits for what runs, takes nothing new, and is bounded', async () => {
    const running = runner.run(procedure([slow('one', 30)]));
    await runner.stop(1_000);
    expect(done).toEqual(['one begins', 'one ends']);
    expect((await running.done).error).toBeNull();
    expect((await runner.run(procedure([step('late')])).done).error).toMatch(/^ProcedureError: /);
    expect(done).not.toContain('late');
  });

  test('stops in time even when a step does not', async () => {
    void runner.run(procedure([step('endless', { bound: 10_000, run: () => new Promise(() => {}) })]));
    const begin = performance.now();
    await runner.stop(20);
    expect(performance.now() - begin).toBeLessThan(5_000);
  });

  test('ends taking back, too: nothing touches a server any more', async () => {
    const touched: string[] = [];
    let open = true;
    let goOn = () => {};
    const held = new Promise<void>(resolve => {
      goOn = resolve;
    });
    const unfence = async () => void touched.push(open ? 'over an open session' : 'over a closed one');
    const close = () => {
      open = false;
    };
    const server = { unfence, onLost() {}, close } as unknown as ManagedServer;
    runner = createRunner({ ...contextWith(createMemoryStore()), replication: { connect: async () => server } });
    const undo = async (_data: unknown, { sessions }: StepContext) => {
      const session = await sessions.to({ host: 'h', port: 1 }, 1_000);
      done.push('undo begins');
      await held;
      await session.unfence();
    };
    void runner.run(procedure([fails('one', new Error('no'), { undo })]));
    await expect.poll(() => done).toContain('undo begins');
    await runner.stop(0);
    goOn();
    await expect.poll(() => touched).toEqual(['over a closed one']);
  });

  test('runs in many groups without a warning', async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error) => void warnings.push(warning);
    process.on('warning', hear);
    const groups = Array.from({ length: 20 }, (_, n) => `g${n}`);
    await Promise.all(groups.map(group => runner.run({ ...procedure([slow('one', 5)]), group }).done));
    process.off('warning', hear);
    expect(warnings).toEqual([]);
  });
});

describe('a store that takes no changes for a moment', () => {
  test('holds up what comes behind, and turns it away no longer than that', async () => {
    const store = createMemoryStore();
    const { saveRun } = store;
    let failures = 2;
    store.saveRun = async run => {
      if (run.step === 1 && failures > 0) {
        failures -= 1;
        throw new Error('disk full');
      }
      await saveRun(run);
    };
    runner = createRunner(contextWith(store));
    const first = runner.run(procedure([step('one', { final: true }), slow('two', 1_000)]));
    expect((await first.done).error).toMatch(/the procedure goes on when it does/);
    expect((await runner.run(procedure([step('early')])).done).error).toMatch(/waits for the state store/);
    await expect.poll(() => done, { timeout: 3_000 }).toContain('two begins');
    expect((await runner.run(procedure([step('late')])).done).error).toBeNull();
    expect(done).toEqual(['one', 'two begins', 'two ends', 'late']);
  });

  test('does not use up the bound of taking back', async () => {
    vi.useFakeTimers();
    const store = createMemoryStore();
    await store.createGroup({ ...GROUP, id: 'g' });
    const { group } = store;
    let frozen = true;
    store.group = id => (frozen ? new Promise(() => {}) : group(id));
    runner = createRunner(contextWith(store));
    const undo = async (_data: unknown, context: StepContext) => {
      await requireGroup(context, 'g');
      done.push('undone');
    };
    const run = runner.run(procedure([fails('one', new Error('no'), { undo })]));
    await vi.advanceTimersByTimeAsync(40_000);
    frozen = false;
    await vi.advanceTimersByTimeAsync(15_000);
    vi.useRealTimers();
    await run.done;
    await expect.poll(() => done, { timeout: 3_000 }).toEqual(['undone']);
  });
});
