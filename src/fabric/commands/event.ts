import { STATUS_FAULTY } from '../../wire/topology.js';
import { CommandError } from '../errors.js';
import { declareFaulty } from '../procedures/declare-faulty.js';
import { requireGroup } from '../procedures/group-record.js';
import { promote } from '../procedures/promote.js';
import type { Caller } from '../roles.js';
import {
  askedBy,
  type Command,
  type CommandContext,
  column,
  dispatch,
  HISTORY,
  historyRows,
  OUTCOME,
  outcome,
  read,
} from './define.js';

/** Events that start procedures, the procedures themselves, and what the node has decided. */

const UUID = column('uuid', 'string');

/** The unplanned change of a primary: it is given up, fenced if it can be reached, and another takes over. */
async function failOver(
  [id = '']: readonly (string | undefined)[],
  context: CommandContext,
  caller: Caller,
): Promise<readonly string[]> {
  const group = await requireGroup(context, id);
  const primary = group.servers.find(({ uuid }) => uuid === group.primary);
  const procedure =
    primary && primary.status !== STATUS_FAULTY
      ? declareFaulty({
          ...{ group: id, server: primary.uuid, reporter: 'event FAIL_OVER', error: 'a failover was asked for' },
          ...{ updateOnly: false, respectFailoverInterval: false },
        })
      : promote({ group: id, candidate: null, updateOnly: false });
  return [context.runner.run(procedure, askedBy('event.trigger FAIL_OVER', caller)).uuid];
}

type Handler = (
  args: readonly (string | undefined)[],
  context: CommandContext,
  caller: Caller,
) => Promise<readonly string[]>;

/** The command of the same meaning, not waited for. */
const command =
  (name: string): Handler =>
  async (args, context, caller) => {
    const { error, kind, resultSets } = await dispatch(context, caller, name, [...args, false]);
    if (error !== '') throw new CommandError(kind ?? 'CommandError', error);
    return (resultSets[0]?.rows ?? []).map(([uuid]) => String(uuid));
  };

/** What each event starts. The original's others belong to its sharding and its machines, or tell observers only: they start nothing. */
const EVENTS: ReadonlyMap<string, { readonly params: readonly string[]; readonly handle: Handler }> = new Map([
  ['FAIL_OVER', { params: ['group_id'], handle: failOver }],
  [
    'REPORT_ERROR',
    { params: ['server_id', 'reporter', 'error', 'update_only'], handle: command('threat.report_error') },
  ],
  [
    'REPORT_FAILURE',
    { params: ['server_id', 'reporter', 'error', 'update_only'], handle: command('threat.report_failure') },
  ],
]);

/** In the event's order, the named ones in their places. */
function eventArguments(event: string, params: readonly string[], args: readonly string[], named: readonly string[]) {
  const values: (string | undefined)[] = params.map((_, index) => args[index]);
  const refuse = (problem: string) => new CommandError('CommandError', `Event (${event}) ${problem}.`);
  if (args.length > params.length) throw refuse(`takes at most ${params.length} arguments: ${params.join(', ')}`);
  for (const pair of named) {
    const [, name = pair, value] = /^(\w+)=(.*)$/s.exec(pair) ?? [];
    const index = params.indexOf(name);
    if (value === undefined || index < 0) throw refuse(`takes ${params.join(', ')} as name=value, not (${pair})`);
    values[index] = value;
  }
  if (values[0] === undefined) throw refuse(`needs the argument ${params[0]}`);
  return values;
}

/** ms; as long as the tool waits for an answer. */
const WAIT_BOUND = 600_000;
/** Of one call: an answer that is far longer would keep the node busy. */
const MAX_PROCEDURES = 1_000;
const LOG_LIMIT = 50;
const LOG_LIMIT_MOST = 10_000;

/** The two result sets of each procedure, or one that says why it failed. */
const waitForProcedures: Command = {
  name: 'event.wait_for_procedures',
  doc: 'Wait until procedures have ended, and show their steps, once for each; also of those that ended before the node was started.',
  params: [{ name: 'proc_uuids', doc: 'uuid of a procedure; may be repeated.', type: 'list', default: null }],
  sets: [OUTCOME, HISTORY, [UUID, column('error', 'string')]],
  kind: 'read',
  cacheable: false,
  acts: false,
  async run({ proc_uuids: uuids }, { runner }) {
    if (!Array.isArray(uuids) || uuids.length === 0)
      throw new CommandError('CommandError', 'Which procedures? proc_uuids is empty.');
    const wanted = new Set<string>(uuids);
    if (wanted.size > MAX_PROCEDURES) {
      const problem = `proc_uuids names ${wanted.size} procedures; ${MAX_PROCEDURES} is the most for one call.`;
      throw new CommandError('CommandError', problem);
    }
    const runs = await Promise.all([...wanted].map(uuid => runner.wait(uuid, WAIT_BOUND)));
    return runs.flatMap(run =>
      run.error === null
        ? outcome(run)
        : [{ columns: [UUID, column('error', 'string')], rows: [[run.uuid, run.error]] }],
    );
  },
};

export const eventCommands = [
  read({
    name: 'event.trigger',
    doc: 'Start the procedures of an event and answer with their uuids: FAIL_OVER (group_id), REPORT_ERROR and REPORT_FAILURE (server_id, reporter, error, update_only). Others start nothing.',
    params: [
      { name: 'event', doc: 'Name of the event.', type: 'string' },
      { name: 'locks', doc: 'Ignored: a procedure takes the lock of its group.', type: 'list', default: null },
      { name: 'args', doc: 'Arguments of the event, in order; may be repeated.', type: 'list', default: null },
      { name: 'kwargs', doc: 'Arguments of the event as name=value; may be repeated.', type: 'list', default: null },
    ],
    sets: [[UUID]],
    acts: true,
    run: async ({ event: name, args, kwargs }, context, caller) => {
      const event = EVENTS.get(name);
      if (!event) return [[]];
      const uuids = await event.handle(eventArguments(name, event.params, args ?? [], kwargs ?? []), context, caller);
      return [uuids.map(uuid => [uuid])];
    },
  }),

  waitForProcedures,

  read({
    name: 'event.under_way',
    doc: 'The procedures that are under way, and the steps of each so far; one without any waits for its turn.',
    params: [],
    sets: [
      [UUID, column('procedure', 'string'), column('group_id', 'string'), column('asked_by', 'string')],
      [UUID, ...HISTORY],
    ],
    run: async (_args, { runner }) => {
      const all = runner.underWay();
      return [
        all.map(({ by, run }) => [run.uuid, run.procedure, run.group, by]),
        all.flatMap(({ run }) => historyRows(run).map(row => [run.uuid, ...row])),
      ];
    },
  }),

  read({
    name: 'event.log',
    doc: 'What the node has decided and operators have changed, when, who asked for it, and why; the latest last.',
    params: [
      { name: 'group_id', doc: 'Only of this group, also one that is no more.', type: 'string', default: null },
      { name: 'limit', doc: 'So many of the latest.', type: 'int', default: LOG_LIMIT },
    ],
    sets: [
      [
        column('when', 'double'),
        column('group_id', 'string'),
        column('server_uuid', 'string'),
        column('event', 'string'),
        column('asked_by', 'string'),
        column('description', 'string'),
      ],
    ],
    run: async ({ group_id: group, limit }, { store }) => {
      if (limit < 1 || limit > LOG_LIMIT_MOST)
        throw new CommandError('CommandError', `limit (${limit}) must be from 1 to ${LOG_LIMIT_MOST}.`);
      const decisions = await store.decisions(group, limit);
      return [
        decisions.map(({ at, group: id, server, event, by, sentence }) => [
          at / 1_000,
          id === '' ? null : id,
          server,
          event,
          by,
          sentence,
        ]),
      ];
    },
  }),
] as const;
