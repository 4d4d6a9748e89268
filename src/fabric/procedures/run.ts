import { randomUUID } from 'node:crypto';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { AdminError } from '../replication/replication.js';
import type { RunRecord } from '../store/store.js';
import { createGroupLock } from './group-lock.js';
import { createJournal, type Journal } from './journal.js';
import { createSessions, type Sessions } from './sessions.js';

/**
 * A procedure is a list of named steps that can be read aloud. The runner takes the group's lock, records the run before the first step
 * and after each one, and when a step fails takes back what was done, last step first. A run that a killed node left behind goes on where it
 * was: the step that was interrupted is done again, or taking back begins again. So steps and their `undo` must be repeatable, and know what
 * they need from the data that was recorded before them.
 */

/** What a procedure's steps hand on to each other: plain JSON, because it is recorded after each step. */
export type Data = Record<string, unknown>;

/** What a step gets: the node's context, and the run's own sessions on the servers. */
export interface StepContext extends Context {
  /** Kept from step to step, closed when the run ends, and when a step passes its bound. */
  readonly sessions: Sessions;
}

export interface Step<D extends Data = Data> {
  /** As operators read it: 'block writes on the old primary'. */
  readonly name: string;
  /** Milliseconds after which the step counts as failed; 60 s when not given. Its own waits are shorter: this is the last guard. */
  readonly bound?: number;
  /** When it is done, it and what came before stand: a later failure does not take them back. */
  readonly final?: boolean;
  run(data: D, context: StepContext): Promise<void>;
  /** Takes the step back after it ended, or failed midway. Must be harmless when there is nothing to take back. */
  undo?(data: D, context: StepContext): Promise<void>;
}

export interface Procedure<D extends Data = Data> {
  /** The command or event it carries out: `group.promote`. */
  readonly name: string;
  /** The group whose lock it takes. */
  readonly group: string;
  readonly data: D;
  readonly steps: readonly Step<D>[];
  /** The steps after `steps`, when these decide how it goes on. The recorded `data` alone must determine them. */
  rest?(data: D): readonly Step<D>[];
}

export interface Runner {
  /** Starts or queues it behind the group's other procedures; resolves (never rejects) to its uuid at once, `done` settles when it ended. */
  run<D extends Data>(procedure: Procedure<D>): { readonly uuid: string; readonly done: Promise<RunRecord> };
  /** Goes on with a run that was recorded and not finished; `procedure` is made of what was recorded. As `run` otherwise. */
  resume<D extends Data>(record: RunRecord, procedure: Procedure<D>): { readonly done: Promise<RunRecord> };
  /** Waits for a run that this node knows. @throws CommandError (ProcedureError) when there is none. */
  wait(uuid: string): Promise<RunRecord>;
  /** Whether a procedure of this group runs or waits. */
  busy(group: string): boolean;
  /** Takes no new procedures and waits for those under way (bounded by `timeout` ms). */
  stop(timeout: number): Promise<void>;
}

const STEP_BOUND = 60_000;
const UNDO_BOUND = 30_000;

/** The one place where procedures run: at most one at a time for each group, in the order in which they came. */
export function createRunner(context: Context): Runner {
  const lock = createGroupLock();
  const active = new Map<string, Promise<RunRecord>>();
  let stopped = false;

  const start = <D extends Data>(procedure: Procedure<D>, uuid: string, before?: RunRecord) => {
    const journal = createJournal(procedure, uuid, context, before);
    const done = lock.hold(procedure.group, () => carryOut(procedure, journal, context));
    active.set(uuid, done);
    void done.finally(() => active.delete(uuid));
    return { uuid, done };
  };

  return {
    run(procedure) {
      const uuid = randomUUID();
      if (!stopped) return start(procedure, uuid);
      const late = 'ProcedureError: This node is stopping and takes no new procedures.';
      return { uuid, done: createJournal(procedure, uuid, context).close(late) };
    },
    resume: (record, procedure) => start(procedure, record.uuid, record),
    async wait(uuid) {
      const running = active.get(uuid);
      if (running) return running;
      const record = await context.store.run(uuid);
      if (record?.finished) return record;
      throw new CommandError('ProcedureError', `Procedure (${uuid}) was not found.`);
    },
    busy: group => lock.held(group),
    async stop(timeout) {
      stopped = true;
      await within(timeout, 'the procedures under way', Promise.all(active.values())).catch(() => {
        context.log.warn(`stopped while ${active.size} procedures were under way`);
      });
    },
  };
}

/** Never rejects: a failure is in the record. */
async function carryOut<D extends Data>(
  procedure: Procedure<D>,
  journal: Journal,
  context: Context,
): Promise<RunRecord> {
  const sessions = createSessions(context.replication);
  const standing: Step<D>[] = [];
  try {
    await journal.open();
    await goThrough(procedure, standing, journal, { ...context, sessions });
    return await journal.close(null);
  } catch (error) {
    const failed = standing.at(-1);
    if (failed) journal.event(5, 1, `Tried to execute action (${failed.name}).`);
    context.log.warn(`${procedure.name} of group ${procedure.group} failed: ${describeError(error)}`);
    // A step that passed its bound may still be waiting for an answer: without its sessions it can do nothing more.
    sessions.close();
    if (standing.some(({ undo }) => undo)) await journal.failed(describeError(error));
    await takeBack(standing, procedure, context);
    return await journal.close(describeError(error));
  } finally {
    sessions.close();
  }
}

/** `standing` gets the steps that a failure takes back; of a run that is taken up again, those that the killed node did, too. */
async function goThrough<D extends Data>(
  procedure: Procedure<D>,
  standing: Step<D>[],
  journal: Journal,
  context: StepContext,
): Promise<void> {
  const { step: doneBefore, error } = journal.resumed;
  let index = 0;
  for (const step of stepsOf(procedure)) {
    const again = index < doneBefore;
    index += 1;
    standing.push(step);
    if (!again && error !== null) break;
    if (!again) await perform(step, procedure.data, journal, context);
    if (step.final) standing.length = 0;
    if (!again) await journal.stepDone(step.name);
  }
  if (error !== null) throw new Error(error);
}

async function perform<D extends Data>(step: Step<D>, data: D, journal: Journal, context: StepContext): Promise<void> {
  journal.event(4, 2, `Executing action (${step.name}).`);
  await within(step.bound ?? STEP_BOUND, step.name, step.run(data, context));
}

function* stepsOf<D extends Data>(procedure: Procedure<D>): Generator<Step<D>> {
  yield* procedure.steps;
  if (procedure.rest) yield* procedure.rest(procedure.data);
}

async function takeBack<D extends Data>(
  steps: readonly Step<D>[],
  procedure: Procedure<D>,
  context: Context,
): Promise<void> {
  for (const step of [...steps].reverse()) {
    if (!step.undo) continue;
    const sessions = createSessions(context.replication);
    try {
      await within(UNDO_BOUND, step.name, step.undo(procedure.data, { ...context, sessions }));
    } catch (error) {
      context.log.error(`${procedure.name}: taking back '${step.name}' failed: ${describeError(error)}`);
    } finally {
      sessions.close();
    }
  }
}

/** What the wire shows for a procedure that failed. */
function describeError(error: unknown): string {
  if (error instanceof CommandError) return `${error.kind}: ${error.message}`;
  if (error instanceof AdminError) return `DatabaseError: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

/** Rejects when `work` takes longer than `bound` ms; what becomes of it then is nobody's business any more. */
async function within<T>(bound: number, name: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CommandError('ProcedureError', `'${name}' took longer than ${bound} ms.`)),
      bound,
    );
  });
  try {
    return await Promise.race([work, guard]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
