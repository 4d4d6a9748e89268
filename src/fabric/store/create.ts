import { existsSync } from 'node:fs';
import { missingAdmins } from '../accounts.js';
import { parseAddress } from '../model.js';
import type { FabricOptions, StorageOptions } from '../option-table.js';
import { createMemoryStore } from './memory.js';
import { createMysqlDatabase, type MysqlSettings, mysqlHolder } from './mysql.js';
import { dropTables } from './schema.js';
import type { SqlDatabase } from './sql-database.js';
import { createSqlStore } from './sql-store.js';
import { createSqliteDatabase } from './sqlite.js';
import { type Store, StoreInUse } from './store.js';

export { StoreInUse, StoreUnusable } from './store.js';

/** The state store that the options name. Its `open` makes what is missing: the file, the database, the tables. */
export function createStore(storage: StorageOptions): Store {
  const database = databaseOf(storage);
  return database ? createSqlStore(database) : createMemoryStore();
}

/**
 * Makes the state store, or brings its tables up to date, with a user who may do everything; what it holds stays.
 * @param ask for that user's password where the configuration has none.
 */
export async function setupStorage(options: FabricOptions, ask: (user: string) => Promise<string>): Promise<void> {
  const store = createStore(options.storage);
  try {
    await store.open();
    const admins = await missingAdmins(options, store.users, ask);
    if (admins.length > 0) await store.changeUsers(users => [...users, ...admins]);
  } finally {
    await store.close();
  }
}

/**
 * Removes the tables of the state store with all that they hold.
 * @returns whether there was one; of those on a MySQL server that is not known.
 * @throws Error when a node uses it.
 */
export async function teardownStorage(storage: StorageOptions): Promise<boolean> {
  const database = databaseOf(storage);
  if (!database || (storage.type === 'sqlite' && !existsSync(storage.file))) return false;
  try {
    await database.open();
    await database.claim(() => {});
    await database.alter(dropTables);
    return true;
  } finally {
    await database.close();
  }
}

/** Of a store on a MySQL server its session there. */
export type Holder = number | 'a node';

/**
 * Which node works on it; null: none. Makes nothing.
 * @param signal gives it up.
 * @throws Error when that cannot be told from here.
 */
export async function holderOf(storage: StorageOptions, signal: AbortSignal): Promise<Holder | null> {
  if (storage.type === 'mysql') return mysqlHolder(mysqlSettings(storage), signal);
  const database = storage.type === 'sqlite' && existsSync(storage.file) ? createSqliteDatabase(storage) : undefined;
  try {
    await database?.claim(() => {});
    return null;
  } catch (error) {
    if (error instanceof StoreInUse) return 'a node';
    throw error;
  } finally {
    await database?.close();
  }
}

function databaseOf(storage: StorageOptions): SqlDatabase | undefined {
  if (storage.type === 'sqlite') return createSqliteDatabase(storage);
  return storage.type === 'memory' ? undefined : createMysqlDatabase(mysqlSettings(storage));
}

function mysqlSettings(storage: StorageOptions): MysqlSettings {
  const parsed = parseAddress(storage.address);
  if ('problem' in parsed) throw new RangeError(parsed.problem);
  return { ...storage, ...parsed.value };
}
