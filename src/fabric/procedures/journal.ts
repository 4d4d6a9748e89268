import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../context.js';
import { InDoubt, type RunEvent, type RunRecord } from '../store/store.js';
import { unless } from './waits.js';

/**
 * Writes a run's record: before its first step, after each step, when it fails, and when it ends. What cannot be undone is recorded however long
 * that takes: nothing may follow on it, in this run or in another one of the group, that a later start would not know of.
 */
export interface Journal {
  /** How many steps were done, and why it failed (or null), when the node that began this run was killed. */
  readonly resumed: { readonly step: number; readonly error: string | null };
  /** Rejects when the store does not take it: then nothing was begun. What an earlier node has begun waits for the store. */
  open(): Promise<void>;
  /** Noted in memory; the next write keeps it. */
  event(state: RunEvent['state'], success: RunEvent['success'], description: string): void;
  /** Records that one more step is done, with what the steps know by then. Rejects when the store does not take it, unless the step is `final`. */
  stepDone(name: string, final: boolean): Promise<void>;
  /** Records that what was done will be taken back, with what the failed step knows. */
  failed(error: string): Promise<void>;
  /** Taking back waits for the store, and tries again. */
  delayed(error: string): Promise<void>;
  /** The run as it is. */
  now(): RunRecord;
  /** The run as it is, which is not recorded any more: the next start finds what was. */
  leave(error: string): RunRecord;
  /** It has not got its turn: as if it had never been asked for, or, when an earlier node has begun it, as that has left it. */
  passOver(error: string): RunRecord;
  close(error: string | null): Promise<RunRecord>;
}

interface Recorded {
  readonly name: string;
  readonly group: string;
  readonly data: unknown;
}

export interface JournalOptions {
  /** The run as it was recorded, when it is taken up again. */
  readonly before?: RunRecord | undefined;
  /** Ends every wait, which rejects then. */
  readonly leaving: AbortSignal;
  /** Gets the answer for whoever asked for the run, when that has to wait for the store. May be called again. */
  late(answer: RunRecord): void;
  /** The store takes changes again. */
  onTime(): void;
}

/** ms until the store is asked again. */
const RETRY = 1_000;

const TAKEN_BACK_LATER = '(The state store takes no changes: what was done is taken back when it does.)';
const GOES_ON_LATER = 'ProcedureError: The state store takes no changes: the procedure goes on when it does.';

export function createJournal(
  procedure: Recorded,
  uuid: string,
  context: Context,
  { before, leaving, late, onTime }: JournalOptions,
): Journal {
  const events: RunEvent[] = [...(before?.events ?? [])];
  const resumed = { step: before?.step ?? 0, error: before?.error ?? null };
  let { step } = resumed;
  /** Whether there may be a record of it that is not finished: it has to get an end. */
  let opened = before !== undefined;
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
    await unless(leaving, context.store.saveRun(run));
  };
  const complain = (cause: unknown) =>
    context.log.error(`${procedure.name} (${uuid}) could not be recorded: ${String(cause)}`);

  /** @param answer for whoever asked for the run, should it take long. */
  const persist = async (run: RunRecord, answer: RunRecord): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      try {
        await save(run);
        if (tries > 1) context.log.info(`${procedure.name} (${uuid}) is recorded now, after ${tries} attempts`);
        onTime();
        return;
      } catch (cause) {
        leaving.throwIfAborted();
        if (tries === 1) complain(cause);
        else late(answer);
      }
      await unless(leaving, sleep(RETRY, undefined, { ref: false }));
    }
  };

  return {
    resumed,
    event,
    async open() {
      event(3, 2, before ? 'Taken up again by the node that was started.' : `Triggered by ${procedure.name}.`);
      const run = record(false, resumed.error);
      await (before ? persist(run, record(true, GOES_ON_LATER)) : save(run)).catch(error => {
        opened ||= mayBeStored(error);
        throw error;
      });
      opened = true;
    },
    async stepDone(name, final) {
      event(5, 2, `Executed action (${name}).`);
      step += 1;
      const run = record(false, null);
      await (final ? persist(run, record(true, GOES_ON_LATER)) : save(run));
    },
    failed: error => persist(record(false, error), record(true, `${error} ${TAKEN_BACK_LATER}`)),
    async delayed(error) {
      late(record(true, `${error} ${TAKEN_BACK_LATER}`));
      await unless(leaving, sleep(RETRY, undefined, { ref: false }));
    },
    now: () => record(false, null),
    leave(error) {
      left = true;
      return record(false, error);
    },
    passOver(error) {
      const run = record(before === undefined, error);
      if (run.finished) void context.store.saveRun(run).catch(complain);
      return run;
    },
    async close(error) {
      const run = record(true, error);
      if (opened) await persist(run, run);
      else await save(run).catch(complain);
      return run;
    },
  };
}

function mayBeStored(error: unknown): boolean {
  return error instanceof InDoubt || (error instanceof Error && error.cause instanceof InDoubt);
}
