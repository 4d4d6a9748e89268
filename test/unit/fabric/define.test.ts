import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANYBODY } from '../../../src/fabric/accounts.js';
import {
  type Command,
  type CommandContext,
  column,
  dispatch,
  procedure,
  read,
} from '../../../src/fabric/commands/define.js';
import { CommandError } from '../../../src/fabric/errors.js';
import { createRunner } from '../../../src/fabric/procedures/runner.js';
import { AdminError } from '../../../src/fabric/replication/replication.js';
import { createStatistics } from '../../../src/fabric/statistics.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';

let seen: unknown;
let failure: unknown;
let logged: string[];

const echo = read({
  name: 'test.echo',
  doc: 'Shows its arguments.',
  params: [
    { name: 'text', doc: '', type: 'string' },
    { name: 'whole', doc: '', type: 'int', default: 7 },
    { name: 'fraction', doc: '', type: 'float', default: null },
    { name: 'flag', doc: '', type: 'bool', default: false },
    { name: 'anything', doc: '', type: 'any', default: null },
    { name: 'several', doc: '', type: 'list', default: null },
  ],
  sets: [[column('text', 'string')]],
  run: async args => {
    seen = args;
    if (failure) throw failure;
    return [[[args.text]]];
  },
});

const change = procedure({
  name: 'test.change',
  doc: 'Succeeds or fails.',
  params: [{ name: 'group_id', doc: '', type: 'string' }],
  plan: async ({ group_id: group }) => ({
    name: 'test.change',
    group,
    data: {},
    steps: [
      {
        name: 'do it',
        run: async () => {
          if (failure) throw failure;
        },
      },
    ],
  }),
});

function makeContext(): CommandContext {
  const complain = (sentence: string) => logged.push(sentence);
  const base = {
    options: {} as CommandContext['options'],
    store: createMemoryStore(),
    replication: { connect: () => Promise.reject(new Error('no servers here')) },
    log: { debug() {}, info() {}, warn: complain, error: complain },
    now: () => 1_500,
  };
  const commands = new Map<string, Command>([echo, change].map(command => [command.name, command]));
  const detector = { start() {}, watch() {}, unwatch() {}, hint() {}, outlook: () => undefined };
  const own = { endpoints: () => [], statistics: createStatistics(base), startedAt: 0, shutDown() {} };
  return { ...base, runner: createRunner(base), detector, commands, ...own };
}

let context: CommandContext;
beforeEach(() => {
  seen = undefined;
  failure = undefined;
  logged = [];
  context = makeContext();
});
afterEach(() => context.statistics.stop());

describe('arguments', () => {
  it('come in wire order, with defaults for what is missing or nil', async () => {
    expect(await dispatch(context, ANYBODY, 'test.echo', ['x'])).toEqual({
      error: '',
      kind: null,
      resultSets: [{ columns: [{ name: 'text', type: 'string' }], rows: [['x']] }],
    });
    const defaults = { text: 'x', whole: 7, fraction: null, flag: false, anything: null, several: null };
    expect(seen).toEqual(defaults);
    await dispatch(context, ANYBODY, 'test.echo', ['x', null, null, null, null]);
    expect(seen).toEqual(defaults);
  });

  it.each([
    [[2013, '3', '0.5', 'TRUE', 1.5], { text: '2013', whole: 3, fraction: 0.5, flag: true, anything: 1.5 }],
    [[true, 3, 1, 1, 'x'], { text: 'true', whole: 3, fraction: 1, flag: true, anything: 'x' }],
    [['', 0, 0, '0', 0], { text: '', whole: 0, fraction: 0, flag: false, anything: 0 }],
    [['x', -1, -0.5, 'False', false], { text: 'x', whole: -1, fraction: -0.5, flag: false, anything: false }],
  ])('are converted: %j', async (given, expected) => {
    expect(await dispatch(context, ANYBODY, 'test.echo', given)).toMatchObject({ error: '' });
    expect(seen).toEqual({ ...expected, several: null });
  });

  it.each([
    [
      ['a', 2, true],
      ['a', '2', 'true'],
    ],
    ['a, b,,c', ['a', 'b', 'c']],
    ['', []],
    [[], []],
    [7, ['7']],
  ])('are converted to lists: %j', async (given, expected) => {
    await dispatch(context, ANYBODY, 'test.echo', ['x', null, null, null, null, given]);
    expect(seen).toMatchObject({ several: expected });
  });

  it.each([
    [[], 'test.echo() takes at least 1 argument (0 given)'],
    [[null, 1], 'test.echo() takes at least 1 argument (1 given)'],
    [[1, 2, 3, true, 5, 6, 7], 'test.echo() takes at most 6 arguments (7 given)'],
    [[['x']], 'Argument text of test.echo must be text.'],
    [[{}], 'Argument text of test.echo must be text.'],
    [['x', 1.5], 'Argument whole of test.echo must be a whole number.'],
    [['x', ''], 'Argument whole of test.echo must be a whole number.'],
    [['x', true], 'Argument whole of test.echo must be a whole number.'],
    [['x', 1, 'nan'], 'Argument fraction of test.echo must be a number.'],
    [['x', 1, 1, true, 1, {}], 'Argument several of test.echo must be a list of texts.'],
    [['x', 1, 1, true, 1, [['y']]], 'Argument several of test.echo must be a list of texts.'],
    [['x', 1, 1, 'yes'], 'Argument flag of test.echo must be true or false.'],
    [['x', 1, 1, 2], 'Argument flag of test.echo must be true or false.'],
    [['x', 1, 1, true, []], 'Argument anything of test.echo must be text or a number.'],
  ])('are refused in the error slot: %j', async (given, error) => {
    expect(await dispatch(context, ANYBODY, 'test.echo', given)).toEqual({
      error,
      kind: 'CommandError',
      resultSets: [],
    });
    expect(seen).toBeUndefined();
  });
});

describe('a direct command', () => {
  it('answers an error with its message alone', async () => {
    failure = new CommandError('GroupError', 'Group (g) does not exist.');
    expect(await dispatch(context, ANYBODY, 'test.echo', ['x'])).toEqual({
      error: 'Group (g) does not exist.',
      kind: 'GroupError',
      resultSets: [],
    });
  });

  it('survives a defect, and logs it', async () => {
    failure = new TypeError('x is not a function');
    const reply = await dispatch(context, ANYBODY, 'test.echo', ['x']);
    expect(reply).toMatchObject({ error: 'test.echo could not be carried out: x is not a function', resultSets: [] });
    expect(logged.join()).toContain('TypeError: x is not a function');
  });

  it('that is unknown is none', async () => {
    expect(await dispatch(context, ANYBODY, 'test.nosuch', [])).toMatchObject({
      error: 'method "test.nosuch" is not supported',
    });
  });
});

describe('a procedure', () => {
  it('answers with its outcome and its history', async () => {
    const reply = await dispatch(context, ANYBODY, 'test.change', ['g']);
    expect(reply.error).toBe('');
    expect(reply.resultSets.map(({ columns }) => columns.map(({ name, type }) => `${name} ${type}`))).toEqual([
      ['uuid string', 'finished bool', 'success bool', 'result bool'],
      ['state int', 'success int', 'when double', 'description string'],
    ]);
    expect(reply.resultSets[0]?.rows).toEqual([[expect.stringMatching(/^[0-9a-f-]{36}$/), true, true, true]]);
    expect(reply.resultSets[1]?.rows).toEqual([
      [3, 2, 1.5, 'Triggered by test.change.'],
      [4, 2, 1.5, 'Executing action (do it).'],
      [5, 2, 1.5, 'Executed action (do it).'],
    ]);
  });

  it('has synchronous as its last parameter', () => {
    expect(change.params.at(-1)).toMatchObject({ name: 'synchronous', type: 'bool', default: true });
  });

  it.each([[false], ['FALSE'], ['false'], [0], ['0']])(
    'answers with its uuid alone when synchronous is %j',
    async given => {
      failure = new CommandError('GroupError', 'It fails later.');
      const reply = await dispatch(context, ANYBODY, 'test.change', ['g', given]);
      expect(reply).toMatchObject({ error: '', resultSets: [{ columns: [{ name: 'uuid', type: 'string' }] }] });
      const uuid = reply.resultSets[0]?.rows[0]?.[0];
      expect(await context.runner.wait(String(uuid), 5_000)).toMatchObject({
        finished: true,
        error: 'GroupError: It fails later.',
      });
    },
  );

  it.each([[true], ['TRUE'], [1], ['1'], [null]])('waits when synchronous is %j', async given => {
    expect((await dispatch(context, ANYBODY, 'test.change', ['g', given])).resultSets).toHaveLength(2);
  });

  it('names the kind of its error', async () => {
    failure = new CommandError('GroupError', 'Group (g) does not exist.');
    const line = { error: 'GroupError: Group (g) does not exist.', kind: 'GroupError', resultSets: [] };
    expect(await dispatch(context, ANYBODY, 'test.change', ['g'])).toEqual(line);
  });

  it("shows a server's own error as a DatabaseError", async () => {
    failure = new AdminError("Can't connect", { host: 'db1', port: 3306 }, 'ECONNREFUSED', true);
    const line = { error: "DatabaseError: Can't connect", kind: 'DatabaseError', resultSets: [] };
    expect(await dispatch(context, ANYBODY, 'test.change', ['g'])).toEqual(line);
  });
});
