import type { Context } from '../context.js';
import type { RunEvent, RunRecord } from '../store/store.js';

/** Writes a run's record: before its first step, after each step, and when it ends. */
export interface Journal {
  open(): Promise<void>;
  /** Noted in memory; the next write keeps it. */
  event(state: RunEvent['state'], success: RunEvent['success'], description: string): void;
  /** Records that one more step is done, with what the steps know by then. */
  stepDone(): Promise<void>;
  /** Never rejects: a run has ended even when the store cannot be told. */
  close(error: string | null): Promise<RunRecord>;
}

interface Recorded {
  readonly name: string;
  readonly group: string;
  readonly data: unknown;
}

export function createJournal(procedure: Recorded, uuid: string, context: Context): Journal {
  const events: RunEvent[] = [];
  let step = 0;

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

  return {
    event,
    async open() {
      event(3, 2, `Triggered by ${procedure.name}.`);
      await context.store.saveRun(record(false, null));
    },
    async stepDone() {
      step += 1;
      await context.store.saveRun(record(false, null));
    },
    async close(error) {
      const last = record(true, error);
      try {
        await context.store.saveRun(last);
      } catch (cause) {
        context.log.error(`the end of ${procedure.name} (${uuid}) could not be recorded: ${String(cause)}`);
      }
      return last;
    },
  };
}
