import { TOOL } from './help.js';

/** What goes wrong with the state store, in words that help. */

interface StoreFailure {
  readonly message: string;
  readonly advice: string;
}

export const STORE_PLACE = 'Where it is, and its account, is said in [storage].';
const CLAIMED = `Stop that node first: '${TOOL} manage stop'. ${STORE_PLACE}`;

/** @returns undefined for what may have another cause. */
export function storeFailure(cause: unknown): StoreFailure | undefined {
  const { message = String(cause), code, syscall } = cause as Partial<NodeJS.ErrnoException>;
  if (isClaimed(cause)) return { message, advice: CLAIMED };
  const [, file] = /Unable to open connection to local database (.*): 14\b/.exec(message) ?? [];
  if (file !== undefined) return { message: unopened(file), advice: STORE_PLACE };
  // The folder of SQLite's file is made by the node.
  const ofFile = syscall === 'mkdir' || String(code).startsWith('SQLITE_');
  return ofFile || /^The (SQLite )?state store\b/.test(message) ? { message, advice: STORE_PLACE } : undefined;
}

/** A node works on it. */
export function isClaimed(cause: unknown): boolean {
  return String((cause as Partial<Error>).message).startsWith('Another node uses the state store');
}

const unopened = (file: string) =>
  `The file ${file} of the state store cannot be opened: this user may not read and write it or its folder, or it is no file.`;
