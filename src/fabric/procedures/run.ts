import { decided } from '../audit.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { AdminError } from '../replication/replication.js';
import type { RunRecord } from '../store/store.js';
import { StoreFailure } from './group-record.js';
import type { Journal } from './journal.js';
import { createReach } from './reach.js';
import type { Sessions } from './sessions.js';
import { unless, within } from './waits.js';

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
  /** Who asked for the run: a command and its user, the detector. */
  readonly by: string;
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
  /** Of those with the same word here one waits for its turn; who asks for another gets that one. */
  readonly once?: string;
  readonly steps: readonly Step<D>[];
  /** The steps after `steps`, when these decide how it goes on. The recorded `data` alone must determine them. */
  rest?(data: D): readonly Step<D>[];
}

export const STOPPING = 'ProcedureError: This node is stopping and takes no new procedures.';

const STEP_BOUND = 60_000;
const UNDO_BOUND = 30_000;
/** ms: a store that does not answer must not use up the bound of taking back, which is tried again for the store's sake only. */
const STORE_BOUND = 10_000;

/** Never rejects: a failure is in the record. */
export async function carryOut<D extends Data>(
  procedure: Procedure<D>,
  journal: Journal,
  context: Context & { readonly by: string },
  leaving: AbortSignal,
): Promise<RunRecord> {
  if (leaving.aborted) return journal.passOver(STOPPING);
  const reach = createReach(context);
  const standing: Step<D>[] = [];
  try {
    await journal.open();
    await goThrough(procedure, standing, journal, reach.context, leaving);
    return await journal.close(null);
  } catch (error) {
    // A step that passed its bound may still be waiting for an answer: whatever that is, nothing follows on it.
    reach.end();
    if (leaving.aborted) return journal.leave(describeError(error));
    return await fail(describeError(error), procedure, standing, journal, context, leaving);
  } finally {
    reach.end();
  }
}

/** Takes back what the failed procedure has done. */
async function fail<D extends Data>(
  error: string,
  procedure: Procedure<D>,
  standing: readonly Step<D>[],
  journal: Journal,
  context: Context & { readonly by: string },
  leaving: AbortSignal,
): Promise<RunRecord> {
  const failed = standing.at(-1);
  if (failed) journal.event(5, 1, `Tried to execute action (${failed.name}).`);
  const sentence = `${procedure.name} of group ${procedure.group} failed: ${error}`;
  decided(context, { group: procedure.group, event: 'failed', level: 'warn', sentence });
  try {
    if (standing.some(({ undo }) => undo)) await journal.failed(error);
    for (const step of [...standing].reverse()) {
      while (step.undo && (await takeBack(step, procedure, context, leaving)) === 'again') await journal.delayed(error);
    }
    return await journal.close(error);
  } catch (reason) {
    return journal.leave(describeError(reason));
  }
}

/** `standing` gets the steps that a failure takes back; of a run that is taken up again, those that the killed node did, too. */
async function goThrough<D extends Data>(
  procedure: Procedure<D>,
  standing: Step<D>[],
  journal: Journal,
  context: StepContext,
  leaving: AbortSignal,
): Promise<void> {
  const { step: doneBefore, error } = journal.resumed;
  let index = 0;
  for (const step of stepsOf(procedure)) {
    const again = index < doneBefore;
    index += 1;
    standing.push(step);
    if (!again && error !== null) break;
    if (!again) await perform(step, procedure.data, journal, context, leaving);
    if (step.final) standing.length = 0;
    if (!again) await journal.stepDone(step.name, step.final === true);
  }
  if (error !== null) throw new Error(error);
}

async function perform<D extends Data>(
  step: Step<D>,
  data: D,
  journal: Journal,
  context: StepContext,
  leaving: AbortSignal,
): Promise<void> {
  journal.event(4, 2, `Executing action (${step.name}).`);
  await within(step.bound ?? STEP_BOUND, step.name, unless(leaving, step.run(data, context)));
}

function* stepsOf<D extends Data>(procedure: Procedure<D>): Generator<Step<D>> {
  yield* procedure.steps;
  if (procedure.rest) yield* procedure.rest(procedure.data);
}

/** @returns 'again' when the state store failed: then it was not taken back in full. */
async function takeBack<D extends Data>(
  step: Step<D>,
  procedure: Procedure<D>,
  context: Context & { readonly by: string },
  leaving: AbortSignal,
): Promise<'again' | 'ended'> {
  const reach = createReach(context, STORE_BOUND);
  const undoing = step.undo?.(procedure.data, reach.context);
  try {
    await within(UNDO_BOUND, step.name, unless(leaving, undoing ?? Promise.resolve()));
    return 'ended';
  } catch (error) {
    leaving.throwIfAborted();
    context.log.error(`${procedure.name}: taking back '${step.name}' failed: ${describeError(error)}`);
    return error instanceof StoreFailure ? 'again' : 'ended';
  } finally {
    reach.end();
  }
}

/** What the wire shows for a procedure that failed. */
function describeError(error: unknown): string {
  if (error instanceof CommandError) return `${error.kind}: ${error.message}`;
  if (error instanceof AdminError) return `DatabaseError: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
