import type { Column, ResultSet } from '../../wire/reply.js';
import type { Context } from '../context.js';
import type { Detector } from '../detector.js';
import { CommandError, type CommandErrorKind } from '../errors.js';
import type { Procedure } from '../procedures/run.js';
import type { Runner } from '../procedures/runner.js';
import { AdminError } from '../replication/replication.js';
import { type Caller, mayCall } from '../roles.js';
import type { Statistics } from '../statistics.js';
import type { RunRecord } from '../store/store.js';
import { type Argument, bindArguments, type Param, type ParamType, type Scalar } from './bind.js';

/** A command is declared once, as one object; endpoints, CLI, help and manual derive from it. */

/** What a command shares with its node. */
export interface CommandContext extends Context {
  readonly runner: Runner;
  readonly detector: Omit<Detector, 'stop'>;
  readonly commands: ReadonlyMap<string, Command>;
  /** Where this node listens, by protocol. */
  readonly endpoints: () => readonly ListeningEndpoint[];
  readonly statistics: Statistics;
  /** Epoch ms. */
  readonly startedAt: number;
  /** Ends the node, when what is under way has been answered. */
  readonly shutDown: () => void;
}

export interface ListeningEndpoint {
  readonly protocol: 'protocol.xmlrpc' | 'protocol.mysql';
  readonly host: string;
  readonly port: number;
}

type TypeOf<T extends ParamType> = {
  string: string;
  int: number;
  float: number;
  bool: boolean;
  any: Scalar;
  list: readonly string[];
}[T];

/** Arguments by the wire's name, typed by the parameters. */
type Args<P extends readonly Param[]> = {
  readonly [R in P[number] as R['name']]: TypeOf<R['type']> | (R extends { default: null } ? null : never);
};

export interface Command {
  /** As on the wire: `group.add`. */
  readonly name: string;
  readonly doc: string;
  /** In wire order. */
  readonly params: readonly Param[];
  /** The columns of each result set of a success. */
  readonly sets: readonly (readonly Column[])[];
  readonly kind: 'read' | 'procedure';
  /** true: the answer depends on the arguments and the stored groups alone, so it stays good until `store.revision` changes. */
  readonly cacheable: boolean;
  /** false: it only tells what the node knows, so that whoever may look may call it. */
  readonly acts: boolean;
  /** @throws CommandError when it refuses. */
  run(
    args: Readonly<Record<string, Argument | null>>,
    context: CommandContext,
    caller: Caller,
  ): Promise<readonly ResultSet[]>;
}

interface Declaration<P extends readonly Param[]> {
  readonly name: string;
  readonly doc: string;
  readonly params: P;
}

interface ReadDeclaration<P extends readonly Param[]> extends Declaration<P> {
  readonly sets: readonly (readonly Column[])[];
  readonly cacheable?: boolean;
  /** true: it changes something without being a procedure, or makes the node go somewhere. */
  readonly acts?: boolean;
  /** The rows of each result set, in the order of `sets`. */
  run(args: Args<P>, context: CommandContext, caller: Caller): Promise<readonly ResultSet['rows'][]>;
}

interface ProcedureDeclaration<P extends readonly Param[]> extends Declaration<P> {
  /** The procedure to run, or a run that is over already. */
  plan(args: Args<P>, context: CommandContext): Promise<Procedure | RunRecord>;
}

export const column = (name: string, type: Column['type']): Column => ({ name, type });

/** A command that answers at once, mostly from what the node knows. */
export function read<const P extends readonly Param[]>(declaration: ReadDeclaration<P>): Command {
  const { name, doc, params, sets, cacheable = false, acts = false } = declaration;
  return {
    name,
    doc,
    params,
    sets,
    kind: 'read',
    cacheable,
    acts,
    async run(args, context, caller) {
      const rows = await declaration.run(args as Args<P>, context, caller);
      return sets.map((columns, index) => ({ columns, rows: rows[index] ?? [] }));
    },
  };
}

const SYNCHRONOUS = {
  name: 'synchronous',
  doc: 'Wait until it is done; false: answer with the uuid of the procedure at once.',
  type: 'bool',
  default: true,
} as const satisfies Param;

export const OUTCOME = [
  column('uuid', 'string'),
  column('finished', 'bool'),
  column('success', 'bool'),
  column('result', 'bool'),
];
export const HISTORY = [
  column('state', 'int'),
  column('success', 'int'),
  column('when', 'double'),
  column('description', 'string'),
];

/** A command that changes something: it becomes a procedure under the group's lock, and gets the parameter `synchronous`. */
export function procedure<const P extends readonly Param[]>(declaration: ProcedureDeclaration<P>): Command {
  const { name, doc, params } = declaration;
  return {
    name,
    doc,
    params: [...params, SYNCHRONOUS],
    sets: [OUTCOME, HISTORY],
    kind: 'procedure',
    cacheable: false,
    acts: true,
    async run(args, context, caller) {
      const plan = await declaration.plan(args as Args<P>, context);
      const { uuid, done } =
        'steps' in plan
          ? context.runner.run(plan, askedBy(name, caller))
          : { uuid: plan.uuid, done: Promise.resolve(plan) };
      if (!args.synchronous) void done.then(({ error }) => error !== null && context.statistics.failed(name));
      return args.synchronous ? outcome(await done) : [{ columns: [column('uuid', 'string')], rows: [[uuid]] }];
    },
  };
}

/** Who asked for it, as the node's decisions tell. */
export const askedBy = (command: string, { user }: Pick<Caller, 'user'>): string =>
  user === '' ? command : `${command} by ${user}`;

/** The two result sets of a run that has ended. @throws CommandError when it failed. */
export function outcome(run: RunRecord): readonly ResultSet[] {
  if (run.error !== null) throw recordedError(run.error);
  return [
    { columns: OUTCOME, rows: [[run.uuid, true, true, true]] },
    { columns: HISTORY, rows: historyRows(run) },
  ];
}

export const historyRows = ({ events }: RunRecord): ResultSet['rows'] =>
  events.map(({ state, success, at, description }) => [state, success, at / 1_000, description]);

/** A run's error is recorded as the wire shows it, `kind: message`. */
function recordedError(line: string): CommandError {
  const [, kind, message] = /^([A-Z]\w*Error): (.*)$/s.exec(line) ?? [];
  return new CommandError((kind ?? 'ProcedureError') as CommandErrorKind, message ?? line);
}

/** What an endpoint sends. */
export interface CommandReply {
  /** Empty: success. */
  readonly error: string;
  readonly kind: CommandErrorKind | null;
  readonly resultSets: readonly ResultSet[];
}

/** The command, if this caller may call it: the one place where that is decided. */
export function commandFor(
  { commands }: Pick<CommandContext, 'commands'>,
  caller: Caller,
  name: string,
): Command | 'unknown' | 'forbidden' {
  const command = commands.get(name);
  if (!command) return 'unknown';
  return mayCall(caller, command) ? command : 'forbidden';
}

/** Runs a command with the wire's arguments. Never rejects: whatever goes wrong is in the reply, as the original's clients expect. */
export async function dispatch(
  context: CommandContext,
  caller: Caller,
  name: string,
  args: readonly unknown[],
): Promise<CommandReply> {
  const command = commandFor(context, caller, name);
  if (command === 'unknown') return failure('CommandError', notSupported(name));
  if (command === 'forbidden') return failure('PermissionError', notPermitted(caller, name));
  context.statistics.called(name);
  const reply = await answer(context, caller, command, args);
  if (reply.error !== '') context.statistics.failed(name);
  return reply;
}

async function answer(
  context: CommandContext,
  caller: Caller,
  command: Command,
  args: readonly unknown[],
): Promise<CommandReply> {
  const bound = bindArguments(command, args);
  if ('problem' in bound) return failure('CommandError', bound.problem);
  try {
    return { error: '', kind: null, resultSets: await command.run(bound.args, context, caller) };
  } catch (error) {
    return failed(context, command, error);
  }
}

/** The original's words for a method that is no command. */
export const notSupported = (name: string): string => `method "${name}" is not supported`;

export const notPermitted = ({ user }: Caller, name: string): string => `User (${user}) may not call ${name}.`;

const failure = (kind: CommandErrorKind, error: string): CommandReply => ({ error, kind, resultSets: [] });

/** Procedures name the kind of their error, direct commands give the message alone. */
function failed(context: CommandContext, command: Command, error: unknown): CommandReply {
  const prefix = (kind: string) => (command.kind === 'procedure' ? `${kind}: ` : '');
  if (error instanceof CommandError) return failure(error.kind, prefix(error.kind) + error.message);
  if (error instanceof AdminError) return failure('DatabaseError', prefix('DatabaseError') + error.message);
  const message = error instanceof Error && error.message !== '' ? error.message : String(error);
  context.log.error(`${command.name} broke: ${error instanceof Error ? (error.stack ?? message) : message}`);
  return failure('InternalError', `${command.name} could not be carried out: ${message}`);
}
