import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../fabric/config-file.js';
import type { StorageOptions } from '../fabric/option-table.js';
import { createStore } from '../fabric/store/create.js';
import { place, storedOptions } from './state-store.js';
import { isClaimed } from './store-failure.js';

/** A node answers `manage stop` before it has ended: the tool waits for the end, so that a `manage start` that follows finds all free. */

/** ms: a node gives what is under way 10 s. */
const PATIENCE = 12_000;
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
  if (!storage || (await comes(timeUp, () => isUnclaimed(storage, timeUp)))) return undefined;
  return `the state store ${place(storage)}`;
}

async function comes(timeUp: AbortSignal, look: () => Promise<boolean>): Promise<boolean> {
  while (!(await look())) {
    if (timeUp.aborted) return false;
    await sleep(PERIOD);
  }
  return true;
}

/** Nobody takes connections there. */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: CONNECT });
    socket.once('connect', () => socket.destroy());
    socket.once('timeout', () => socket.destroy());
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
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

/** What cannot be opened from here is none of ours to wait for. */
async function isUnclaimed(storage: StorageOptions, timeUp: AbortSignal): Promise<boolean> {
  const store = createStore(storage);
  try {
    await store.claim(() => {}, timeUp);
    return true;
  } catch (error) {
    return !isClaimed(error);
  } finally {
    await store.close();
  }
}
