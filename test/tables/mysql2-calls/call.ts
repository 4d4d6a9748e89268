import { EventEmitter } from 'node:events';
import type mysql from 'mysql2';
import type promises from 'mysql2/promise';

/** Calls of mysql2's API, each run against mysql2 and against ours: what is logged must be the same. */

export interface Doors {
  readonly mysql: typeof mysql;
  readonly promises: typeof promises;
  /** To the same server, for mysql2 or for ours. */
  readonly options: mysql.PoolOptions;
}

export interface Call {
  readonly name: string;
  /** The members that it uses, as docs/differences-from-mysql2.md writes them. */
  readonly members: readonly string[];
  /** What differs, as docs/differences-from-mysql2.md calls it; then what is logged must differ. */
  readonly differs?: string;
  run(doors: Doors, log: Log): Promise<void>;
}

export type Log = (what: string, ...values: unknown[]) => void;

export type Callback = (...args: unknown[]) => void;
type Ended = { end(done: (error?: unknown) => void): unknown };

export const end = (it: Ended): Promise<void> => new Promise(resolve => void it.end(() => resolve()));
export const heard = (emitter: EventEmitter, event: string): Promise<unknown[]> =>
  new Promise(resolve => emitter.once(event, (...args) => resolve(args)));

/** What comes back from a call, when its callback is called, and with what. */
export function called(log: Log, start: (callback: Callback) => unknown): Promise<void> {
  return new Promise(resolve => {
    const callback: Callback = (...args) => {
      log('callback', ...args);
      resolve();
    };
    try {
      log('returned', returnedKind(start(callback)));
    } catch (error) {
      log('thrown', error);
      resolve();
    }
  });
}

function returnedKind(value: unknown): unknown {
  if (!(value instanceof EventEmitter)) return value;
  const thenable = 'then' in value && typeof value.then === 'function';
  return { emitter: true, stream: 'stream' in value, thenable };
}

export async function settled(log: Log, start: () => Promise<unknown>): Promise<void> {
  try {
    const promise = start();
    log('returned', typeof promise?.then);
    log('resolved', await promise);
  } catch (error) {
    log('rejected', error);
  }
}

/** The events of a query, in order. */
export async function events(log: Log, query: EventEmitter): Promise<void> {
  query.on('error', error => log('error', error));
  query.on('fields', fields => log('fields', fields));
  query.on('result', row => log('result', row));
  await heard(query, 'end');
  log('end');
}

type Ready<T> = (it: T, log: Log, doors: Doors) => Promise<void> | void;

export function connection(run: Ready<mysql.Connection>, options: mysql.ConnectionOptions = {}): Call['run'] {
  return async (doors, log) => {
    const connection = doors.mysql.createConnection({ ...doors.options, ...options });
    const error = await new Promise(resolve => connection.on('error', () => {}).connect(resolve));
    if (error) {
      log('refused', error);
      connection.destroy();
      return;
    }
    await run(connection, log, doors);
    if (!(connection as unknown as { _closing?: boolean })._closing) await end(connection);
  };
}

export function pool(run: Ready<mysql.Pool>, options: mysql.PoolOptions = {}): Call['run'] {
  return async (doors, log) => {
    const pool = doors.mysql.createPool({ ...doors.options, ...options });
    await run(pool, log, doors);
    await end(pool);
  };
}

export function lent(run: Ready<mysql.PoolConnection>, options: mysql.PoolOptions = {}): Call['run'] {
  return pool(async (pool, log, doors) => {
    const connection = await new Promise<mysql.PoolConnection>((resolve, reject) =>
      pool.getConnection((error, got) => (error ? reject(error) : resolve(got))),
    );
    await run(connection, log, doors);
    connection.release();
  }, options);
}

export function promised(run: Ready<promises.Connection>, options: mysql.ConnectionOptions = {}): Call['run'] {
  return async (doors, log) => {
    let connection: promises.Connection;
    try {
      connection = await doors.promises.createConnection({ ...doors.options, ...options });
    } catch (error) {
      log('refused', error);
      return;
    }
    await run(connection, log, doors);
    await connection.end();
  };
}

export function promisedPool(run: Ready<promises.Pool>, options: mysql.PoolOptions = {}): Call['run'] {
  return async (doors, log) => {
    const pool = doors.promises.createPool({ ...doors.options, ...options });
    await run(pool, log, doors);
    await pool.end();
  };
}

export const call = (name: string, members: string, run: Call['run']): Call => ({
  name,
  members: members.split(' '),
  run,
});

/** A call whose outcome differs, by design. */
export const differing = (differs: string, call: Call): Call => ({ ...call, differs });

/** Without what the call returned. */
export const noReturn =
  (log: Log): Log =>
  (what, ...values) => {
    if (what !== 'returned') log(what, ...values);
  };
