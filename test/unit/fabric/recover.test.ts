import { beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../../src/fabric/context.js';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import { declareFaulty } from '../../../src/fabric/procedures/declare-faulty.js';
import { demote } from '../../../src/fabric/procedures/demote.js';
import { addServer, faultyToSpare, removeServer } from '../../../src/fabric/procedures/membership.js';
import { promote } from '../../../src/fabric/procedures/promote.js';
import { reattach } from '../../../src/fabric/procedures/reattach.js';
import { recoverRuns } from '../../../src/fabric/procedures/recover.js';
import { rebuild } from '../../../src/fabric/procedures/registry.js';
import type { Data, Procedure, Step } from '../../../src/fabric/procedures/run.js';
import { createRunner, type Runner } from '../../../src/fabric/procedures/runner.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { GroupRecord, RunRecord, ServerRecord, Store } from '../../../src/fabric/store/store.js';
import { STATUS_PRIMARY, type Status } from '../../../src/wire/topology.js';

let store: Store;
let saved: RunRecord[];
let done: string[];
let sentences: string[];
let context: Context;
let runner: Runner;

beforeEach(() => {
  const memory = createMemoryStore();
  saved = [];
  done = [];
  sentences = [];
  store = {
    ...memory,
    async saveRun(run) {
      saved.push(run);
      await memory.saveRun(run);
    },
  };
  const say = (sentence: string) => void sentences.push(sentence);
  context = {
    options: parseFabricOptions({ servers: { password: 'p' }, protocol: { xmlrpc: { password: 'p' } } }),
    store,
    replication: { connect: async () => Promise.reject(new Error('no servers here')) },
    log: { debug: say, info: say, warn: say, error: say },
    now: () => 2_000,
  };
  runner = createRunner(context);
});

const NEW = { active: false, primary: null, primarySince: null, baseline: null, servers: [] };

const server = (uuid: string, status: Status): ServerRecord => ({
  ...{ uuid, status, host: uuid, port: 3306, weight: 1, needsFencing: false, byHand: false },
  mode: status === STATUS_PRIMARY ? 3 : 1,
});

const left = (change: Partial<RunRecord> = {}): RunRecord => ({
  uuid: 'r1',
  procedure: 'group.test',
  group: 'g',
  step: 0,
  data: '{}',
  finished: false,
  error: null,
  events: [{ state: 3, success: 2, at: 1_000, description: 'Triggered by group.test.' }],
  ...change,
});

const step = (name: string, more: Partial<Step> = {}): Step => ({
  name,
  run: async () => void done.push(name),
  undo: async () => void done.push(`undo ${name}`),
  ...more,
});
const fails = (name: string) => step(name, { run: () => Promise.reject(new Error('no')) });
const procedure = (steps: Step[], rest: Step[] = []): Procedure => ({
  name: 'group.test',
  group: 'g',
  data: {},
  steps,
  rest: () => rest,
});
const abc = () => procedure([step('a'), step('b')], [step('c')]);

describe('a run that is taken up again', () => {
  test.each([
    [0, ['a', 'b', 'c']],
    [1, ['b', 'c']],
    [2, ['c']],
    [3, []],
  ])('after %i steps does the others', async (steps, expected) => {
    const record = await runner.resume(left({ step: steps }), abc()).done;
    expect(done).toEqual(expected);
    expect(record).toMatchObject({ uuid: 'r1', step: 3, finished: true, error: null });
    expect(await runner.wait('r1', 5_000)).toEqual(record);
  });

  test('goes on with its history', async () => {
    const { events } = await runner.resume(left({ step: 2 }), abc()).done;
    expect(events.map(({ description }) => description)).toEqual([
      'Triggered by group.test.',
      'Taken up again by the node that was started.',
      'Executing action (c).',
      'Executed action (c).',
    ]);
  });

  test('takes back what the killed node had done, when it fails', async () => {
    const record = await runner.resume(left({ step: 1 }), procedure([step('a'), fails('b')])).done;
    expect(done).toEqual(['undo b', 'undo a']);
    expect(record).toMatchObject({ step: 1, finished: true, error: 'no' });
  });

  test('does not take back what was final', async () => {
    await runner.resume(left({ step: 2 }), procedure([step('a'), step('b', { final: true }), fails('c')])).done;
    expect(done).toEqual(['undo c']);
  });

  test('is taken back again when that had begun', async () => {
    const steps = [step('a', { final: true }), step('b'), step('c'), step('d')];
    const record = await runner.resume(left({ step: 2, error: 'GroupError: no.' }), procedure(steps)).done;
    expect(done).toEqual(['undo c', 'undo b']);
    expect(record).toMatchObject({ step: 2, finished: true, error: 'GroupError: no.' });
  });
});

test('a failure is recorded before it is taken back, with what the failed step knows', async () => {
  const b = step('b', {
    async run(data) {
      data.half = true;
      throw new Error('no');
    },
  });
  await runner.run({ ...procedure([step('a'), b]), data: { half: false } }).done;
  const [failed, ended] = saved.slice(-2);
  expect(failed).toMatchObject({ step: 1, finished: false, error: 'no', data: '{"half":true}' });
  expect(ended).toMatchObject({ step: 1, finished: true, error: 'no' });
});

describe('recovery', () => {
  test('ends what cannot be gone on with, and says so', async () => {
    await store.saveRun(left({ uuid: 'one step', procedure: 'server.set_status' }));
    await store.saveRun(left({ uuid: 'unknown', procedure: 'group.unknown', data: '{"group":"g"}' }));
    await store.saveRun(left({ uuid: 'broken', procedure: 'group.promote', data: '{' }));
    await recoverRuns(context, runner);
    expect(await store.unfinishedRuns()).toEqual([]);
    expect((await store.run('one step'))?.error).toMatch(/^ProcedureError: .*as a whole, or not at all/);
    expect(sentences.filter(sentence => sentence.includes('not taken up again'))).toHaveLength(3);
  });

  test('goes on with the rest', async () => {
    const { name, data } = promote({ group: 'gone', candidate: null, updateOnly: false });
    await store.saveRun(left({ procedure: name, group: 'gone', data: JSON.stringify(data) }));
    await recoverRuns(context, runner);
    expect(await store.run('r1')).toMatchObject({ finished: true, error: 'GroupError: Group (gone) does not exist.' });
  });

  const address = { host: 'db1', port: 3306 };

  test.each<[string, unknown, Data, Partial<GroupRecord>]>([
    [
      'group.add',
      addServer({ group: 'g', address, timeout: 1, updateOnly: false }),
      { uuid: 'b', follows: true },
      { primary: 'a', servers: [server('a', 3), server('b', 2)] },
    ],
    ['group.remove', removeServer({ group: 'g', server: 'b' }), {}, { primary: 'a', servers: [server('a', 3)] }],
    [
      'group.promote',
      promote({ group: 'g', candidate: 'b', updateOnly: true }),
      { old: 'a', kind: 'store only' },
      { primary: 'b', servers: [server('a', 2), server('b', 3)] },
    ],
  ])(
    'finds that the last step of %s had changed the store already, and calls it done',
    async (name, made, known, stored) => {
      await store.createGroup({ id: 'g', description: null, ...NEW, ...stored });
      const { data, steps, rest } = made as Procedure;
      const recorded = { ...data, ...known };
      const step = steps.length + (rest?.(recorded).length ?? 0) - 1;
      await store.saveRun(left({ procedure: name, step, data: JSON.stringify(recorded) }));
      await recoverRuns(context, runner);
      expect(await store.run('r1')).toMatchObject({ finished: true, error: null });
      expect(await store.group('g')).toMatchObject(stored);
    },
  );

  const report = { reporter: 'r', error: 'e', updateOnly: false, respectFailoverInterval: true };
  test.each<[string, Procedure]>(
    [
      promote({ group: 'g', candidate: null, updateOnly: false }),
      demote({ group: 'g', updateOnly: false }),
      addServer({ group: 'g', address, timeout: 1, updateOnly: false }),
      removeServer({ group: 'g', server: 'db1:3306' }),
      faultyToSpare({ group: 'g', server: 'db1:3306', updateOnly: false }),
      declareFaulty({ group: 'g', server: 'db1:3306', ...report, believedDead: true }),
      reattach({ group: 'g', server: 'db1:3306' }),
    ].map(made => [made.name, made as Procedure]),
  )('knows %s again by its name and data', (_name, made) => {
    for (const data of [
      made.data,
      { ...made.data, kind: 'switchover', fenced: 'x' },
      { ...made.data, kind: 'failover' },
    ]) {
      const again = rebuild(left({ procedure: made.name, data: JSON.stringify(data) }));
      expect(again).toMatchObject({ name: made.name, group: 'g', data });
      expect(again?.steps).toEqual(made.steps);
      expect(again?.rest?.(data)).toEqual(made.rest?.(data));
    }
  });
});
