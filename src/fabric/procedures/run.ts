import type { Context } from '../context.js';
import type { RunRecord } from '../store/store.js';

/**
 * A procedure is a list of named steps that can be read aloud. The runner takes the group's lock, records the run before the first step
 * and after each one, and when a step fails takes back what was done, last step first.
 */

/** What a procedure's steps hand on to each other: plain JSON, because it is recorded after each step. */
export type Data = Record<string, unknown>;

export interface Step<D extends Data = Data> {
  /** As operators read it: 'block writes on the old primary'. */
  readonly name: string;
  run(data: D, context: Context): Promise<void>;
  /** Takes the step back after it ended, or failed midway. Must be harmless when there is nothing to take back. */
  undo?(data: D, context: Context): Promise<void>;
}

export interface Procedure<D extends Data = Data> {
  /** The command or event it carries out: `group.promote`. */
  readonly name: string;
  /** The group whose lock it takes. */
  readonly group: string;
  readonly data: D;
  readonly steps: readonly Step<D>[];
}

export interface Runner {
  /** Starts or queues it behind the group's other procedures; resolves (never rejects) to its uuid at once, `done` settles when it ended. */
  run<D extends Data>(procedure: Procedure<D>): { readonly uuid: string; readonly done: Promise<RunRecord> };
  /** Waits for a run that this node knows. @throws CommandError (ProcedureError) when there is none. */
  wait(uuid: string): Promise<RunRecord>;
  /** Takes no new procedures and waits for those under way (bounded by `timeout` ms). */
  stop(timeout: number): Promise<void>;
}
