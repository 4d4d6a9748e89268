import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../fabric/config-file.js';
import type { StorageOptions } from '../fabric/option-table.js';
import { type Holder, holderOf } from '../fabric/store/create.js';
import { place, storedOptions } from './state-store.js';

/** A node answers `manage stop` before it has ended: the tool waits for the end, so that a `manage start` that follows finds all free. */

/** ms: a node gives what is under way 10 s, and its store 3 s more. */
const PATIENCE = 15_000;
const PERIOD = 50;
/** ms for a look at the store. */
const LOOK = 2_000;
/** ms for one try to connect. */
const CONNECT = 1_000;

/**
 * To be called before the node is told to stop: its store may be a standby's at once.
 * @returns what waits for the end, and gives what the node still has then; undefined: nothing of which can be told from here.
 */
export async function watchStop(config: Config, patience = PATIENCE): Promise<() => Promise<string | undefined>> {
  const storage = storageOf(config);
  const holder = storage && (await holderOf(storage, AbortSignal.timeout(LOOK)).catch(() => null));
  return async () => {
    const { host, port } = config.caller;
    const timeUp = AbortSignal.timeout(patience);
    if (!(await comes(timeUp, () => isFree(host, port)))) return `the address ${host}:${port}`;
    // A node lets its address go first and its store last, when its procedures have ended.
    if (!storage || holder == null || (await isLeft(storage, holder, timeUp))) return undefined;
    return `the state store ${place(storage)}`;
  };
}

/** A look that fails has seen nothing. When the last ones have, and the time is up, the node has ended: its own bounds are shorter. */
async function isLeft(storage: StorageOptions, holder: Holder, timeUp: AbortSignal): Promise<boolean> {
  let held = false;
  while (!timeUp.aborted) {
    try {
      held = (await holderOf(storage, AbortSignal.any([timeUp, AbortSignal.timeout(LOOK)]))) === holder;
      if (!held) return true;
    } catch {
      held &&= timeUp.aborted; // one that was given up is none
    }
    await sleep(PERIOD);
  }
  return !held;
}

async function comes(timeUp: AbortSignal, look: () => Promise<boolean>): Promise<boolean> {
  for (;;) {
    const has = await look();
    if (timeUp.aborted) return false; // a look that was given up has seen nothing
    if (has) return true;
    await sleep(PERIOD);
  }
}

/** A host may go with the node, and its name with it; that has been right a moment ago. */
const GONE: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Nobody takes connections there. */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: CONNECT });
    socket.once('connect', () => socket.destroy());
    socket.once('timeout', () => socket.destroy());
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(GONE.has(code ?? '')));
    socket.once('close', () => resolve(false));
  });
}

/** Where the configuration has the node's store, which it need not for one who only calls it. */
function storageOf(config: Config): StorageOptions | undefined {
  try {
    const { storage } = storedOptions(config);
    return storage.type === 'mysql' || existsSync(storage.file) ? storage : undefined;
  } catch {
    return undefined;
  }
}
