import { setTimeout as sleep } from 'node:timers/promises';
import type { Dialect, SqlDatabase, SqlSession } from './sql-database.js';
import { createSqlStore } from './sql-store.js';
import { openSqlite, type SqliteHandle } from './sqlite-binding.js';
import { type Store, StoreInUse } from './store.js';

/** The embedded state store: one file, no server, every commit on disk before the next step. */

export interface SqliteSettings {
  readonly file: string;
}

export function createSqliteStore(settings: SqliteSettings): Store {
  return createSqlStore(createSqliteDatabase(settings));
}

const DIALECT: Dialect = { serial: 'INTEGER PRIMARY KEY AUTOINCREMENT', table: '', forUpdate: '' };

/** ms for which a writer waits for others of other programs. */
const PATIENCE = 5_000;
const PAUSE = 5;
/** ms for which a node that is started waits for one that ends. */
const CLAIM_PATIENCE = 1_000;

export function createSqliteDatabase({ file }: SqliteSettings): SqlDatabase {
  let handle: SqliteHandle | undefined;
  let claimed: SqliteHandle | undefined;
  let writing = false;
  let revision = 0;

  const opened = (): SqliteHandle => {
    if (!handle) throw new Error(`The state store ${file} is not open.`);
    return handle;
  };
  const session: SqlSession = {
    query: async (sql, values = []) => opened().all(sql, values),
    execute: async (sql, values = []) => opened().run(sql, values),
  };
  const transaction = async <T>(begin: string, work: (session: SqlSession) => Promise<T>): Promise<T> => {
    await patiently(() => opened().exec(begin));
    writing = true;
    try {
      const result = await work(session);
      opened().exec('COMMIT');
      return result;
    } catch (error) {
      takeBack(handle);
      throw error;
    } finally {
      writing = false;
    }
  };

  return {
    dialect: DIALECT,
    async open() {
      handle ??= await openSqlite(file);
      const { exec } = handle;
      // Waiting for other writers is ours: SQLite would hold up the whole node.
      await patiently(() => exec('PRAGMA journal_mode = WAL'));
      exec('PRAGMA synchronous = FULL');
    },
    async close() {
      handle?.close();
      claimed?.close();
      handle = claimed = undefined;
    },
    async claim() {
      if (file !== ':memory:') claimed ??= await holdLock(file);
    },
    look: work => work(session),
    read: work => transaction('BEGIN', work),
    async write(work, relaxed = false) {
      opened().exec(`PRAGMA synchronous = ${relaxed ? 'NORMAL' : 'FULL'}`);
      return transaction('BEGIN IMMEDIATE', work);
    },
    alter: work => transaction('BEGIN IMMEDIATE', work),
    revision() {
      // Within a transaction of ours it would be one that is not committed.
      if (handle && !writing) revision = committedRevision(handle) ?? revision;
      return revision;
    },
  };
}

/** SQLite has done so already when the disk is full, for one: what it says to that must not hide the reason. */
function takeBack(handle: SqliteHandle | undefined): void {
  try {
    handle?.exec('ROLLBACK');
  } catch {}
}

/**
 * A transaction that never ends, on an empty database beside the store: the operating system forgets its lock with the process, however that
 * ends, and the store itself stays open to others.
 */
async function holdLock(file: string): Promise<SqliteHandle> {
  const lock = await openSqlite(`${file}-node`);
  try {
    await patiently(() => lock.exec('BEGIN EXCLUSIVE'), CLAIM_PATIENCE);
    return lock;
  } catch (error) {
    lock.close();
    throw isBusy(error) ? new StoreInUse(`Another node uses the state store ${file}.`, { cause: error }) : error;
  }
}

/** undefined: another program holds the whole file for a moment. */
function committedRevision({ all }: SqliteHandle): number | undefined {
  try {
    return Number(all('SELECT revision FROM fabric_state WHERE id = 1', [])[0]?.revision);
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** Again and again while another program writes. */
async function patiently(work: () => void, patience = PATIENCE): Promise<void> {
  for (const end = performance.now() + patience; ; await sleep(PAUSE)) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
    }
  }
}

/** libsql tells SQLite's code by name, Node's own binding by number. */
function isBusy(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return String(code).startsWith('SQLITE_BUSY') || (typeof errcode === 'number' && (errcode & 0xff) === 5);
}
