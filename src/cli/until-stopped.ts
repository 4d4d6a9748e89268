import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../fabric/config-file.js';
import type { StorageOptions } from '../fabric/option-table.js';
import { isInUse } from '../fabric/store/create.js';
import { place, storedOptions } from './state-store.js';

/** A node answers `manage stop` before it has ended: the tool waits for the end, so that a `manage start` that follows finds all free. */

/** ms: a node gives what is under way 10 s, and its store 3 s more. */
const PATIENCE = 15_000;
const PERIOD = 50;
/** ms for one try to connect. */
const CONNECT = 1_000;

/** @returns what the node still has in the end; undefined: nothing of which can be told from here. */
export async function untilStopped(config: Config): Promise<string | undefined> {
  const { host, port } = config.caller;
  const timeUp = AbortSignal.timeout(PATIENCE);
  if (!(await comes(timeUp, () => isFree(host, port)))) return `the address ${host}:${port}`;
  // A node lets its address go first and its store last, when its procedures have ended.
  const storage = storageOf(config);
  if (!storage || (await comes(timeUp, async () => !(await isInUse(storage, timeUp))))) return undefined;
  return `the state store ${place(storage)}`;
}

async function comes(timeUp: AbortSignal, look: () => Promise<boolean>): Promise<boolean> {
  while (!(await look())) {
    if (timeUp.aborted) return false;
    await sleep(PERIOD);
  }
  return true;
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
