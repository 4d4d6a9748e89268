import type { Context } from '../context.js';
import type { RunEvent, RunRecord } from '../store/store.js';

/** Writes a run's record: before its first step, after each step, when it fails, and when it ends. */
export interface Journal {
  /** How many steps were done, and why it failed (or null), when the node that began this run was killed. */
  readonly resumed: { readonly step: number; readonly error: string | null };
  open(): Promise<void>;
  /** Noted in memory; the next write keeps it. */
  event(state: RunEvent['state'], success: RunEvent['success'], description: string): void;
  /** Records that one more step is done, with what the steps know by then. */
  stepDone(name: string): Promise<void>;
  /** Records that what was done will be taken back, with what the failed step knows. Never rejects. */
  failed(error: string): Promise<void>;
  /** The run as it is. */
  now(): RunRecord;
  /** The run as it is, which is not recorded any more: the next start finds what was. */
  leave(error: string): RunRecord;
  /** It has not got its turn: as if it had never been asked for, or, when an earlier node has begun it, as that has left it. Never rejects. */
  passOver(error: string): Promise<RunRecord>;
  /** Never rejects: a run has ended even when the store cannot be told. */
  close(error: string | null): Promise<RunRecord>;
}

interface Recorded {
  readonly name: string;
  readonly group: string;
  readonly data: unknown;
}

/** @param before the run as it was recorded, when it is taken up again. */
export function createJournal(procedure: Recorded, uuid: string, context: Context, before?: RunRecord): Journal {
  const events: RunEvent[] = [...(before?.events ?? [])];
  const resumed = { step: before?.step ?? 0, error: before?.error ?? null };
  let { step } = resumed;
  let left = false;

  const record = (finished: boolean, error: string | null): RunRecord => ({
    uuid,
    procedure: procedure.name,
    group: procedure.group,
    step,
    data: JSON.stringify(procedure.data),
    finished,
    error,
    events: [...events],
  });
  const event: Journal['event'] = (state, success, description) => {
    events.push({ state, success, at: context.now(), description });
  };

  const save = async (run: RunRecord) => {
    if (left) throw new Error('the node has stopped');
    await context.store.saveRun(run);
  };
  const tell = async (run: RunRecord) => {
    try {
      await save(run);
    } catch (cause) {
      context.log.error(`the end of ${procedure.name} (${uuid}) could not be recorded: ${String(cause)}`);
    }
    return run;
  };

  const close = (error: string | null) => tell(record(true, error));

  return {
    resumed,
    event,
    async open() {
      event(3, 2, before ? 'Taken up again by the node that was started.' : `Triggered by ${procedure.name}.`);
      await save(record(false, resumed.error));
    },
    async stepDone(name) {
      event(5, 2, `Executed action (${name}).`);
      step += 1;
      await save(record(false, null));
    },
    async failed(error) {
      await tell(record(false, error));
    },
    now: () => record(false, null),
    leave(error) {
      left = true;
      return record(false, error);
    },
    passOver: async error => (before ? record(false, error) : close(error)),
    close,
  };
}
