import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../context.js';
import type { RunRecord } from '../store/store.js';
import { rebuild } from './registry.js';
import type { Procedure } from './run.js';
import type { Runner } from './runner.js';

/** What a node that was killed left unfinished is ended before the node serves: each run goes on where it was, or is taken back. */

/** ms after which the node serves although a run is still under way; that one holds its group's lock. */
const BOUND = 60_000;

export async function recoverRuns(context: Context, runner: Runner): Promise<void> {
  const runs = await context.store.unfinishedRuns();
  if (runs.length === 0) return;
  const late = new AbortController();
  const all = Promise.all(runs.map(run => recover(run, context, runner)));
  await Promise.race([all, sleep(BOUND, undefined, { signal: late.signal }).catch(() => {})]);
  late.abort();
}

async function recover(run: RunRecord, context: Context, runner: Runner): Promise<void> {
  const named = `${run.procedure} of group ${run.group} (${run.uuid}), which the last node left unfinished,`;
  const procedure = procedureOf(run, context);
  if (!procedure) {
    context.log.warn(`${named} is not taken up again`);
    await drop(run, context);
    return;
  }
  context.log.info(`${named} ${run.error === null ? `goes on after ${run.step} steps` : 'is taken back'}`);
  const { error } = await runner.resume(run, procedure).done;
  context.log.info(`${named} ${error === null ? 'is done' : `failed: ${error}`}`);
}

/** Only a record is at stake: it does not keep the node from serving, and the next start drops it again. */
async function drop(run: RunRecord, { store, log }: Context): Promise<void> {
  try {
    await store.saveRun({ ...run, finished: true, error: run.error ?? DROPPED });
  } catch (cause) {
    log.error(`${run.procedure} (${run.uuid}) could not be recorded: ${String(cause)}`);
  }
}

const DROPPED = 'ProcedureError: The node ended before this did; it was carried out as a whole, or not at all.';

function procedureOf(run: RunRecord, { log }: Context): Procedure | undefined {
  try {
    return rebuild(run);
  } catch (error) {
    log.error(`the data of ${run.procedure} (${run.uuid}) cannot be read: ${String(error)}`);
    return undefined;
  }
}
