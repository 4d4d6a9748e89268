import { connect as connectSocket, type Socket } from 'node:net';
import { addAbortSignal } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { type Claimant, createClaim, lockOf } from './mysql-claim.js';
import type { Dialect, Row, SqlDatabase, SqlValue, Work } from './sql-database.js';
import { createSqlStore } from './sql-store.js';
import { InDoubt, type Store } from './store.js';

/** The state store on a MySQL server, 5.6 or newer. One connection, made anew between transactions when it is lost; every wait has a bound. */

export interface MysqlSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Seconds for connecting, and for each statement. */
  readonly connectionTimeout: number;
  readonly connectionAttempts: number;
  /** Seconds between two of them. */
  readonly connectionDelay: number;
}

export function createMysqlStore(settings: MysqlSettings): Store {
  return createSqlStore(createMysqlDatabase(settings));
}

const DIALECT: Dialect = {
  serial: 'BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY',
  table: ' ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin',
  forUpdate: ' FOR UPDATE',
};

/** How often a transaction is done again that lost its connection, or a deadlock. */
const REPEATS = 3;

export function createMysqlDatabase(settings: MysqlSettings): SqlDatabase {
  const claim = createClaim(settings.database, nameOf(settings));
  let link: Link | undefined;
  let closed: AbortController | undefined;
  let failed: { readonly at: number; readonly error: unknown } | undefined;

  /** Known to be down, it is tried once; and not again within the delay, so that many who wait in a row don't add up their waits. */
  const linked = async (deadline: number): Promise<Link> => {
    if (!closed) throw new Error(`The state store ${nameOf(settings)} is not open.`);
    if (link?.alive) return link;
    if (failed && performance.now() - failed.at < settings.connectionDelay * 1_000) throw failed.error;
    try {
      link = await connectPatiently(settings, failed ? 0 : deadline, closed.signal);
      failed = undefined;
      return link;
    } catch (error) {
      failed = { at: performance.now(), error };
      throw error;
    }
  };
  /** Until `COMMIT` is sent nothing is done, so that it may be done again. */
  const repeated = async <T>(attempt: (link: Link) => Promise<T>): Promise<T> => {
    const deadline = performance.now() + patienceOf(settings);
    for (let repeat = 1; ; repeat += 1) {
      const current = await linked(deadline);
      try {
        await claim.keep(current);
        return await attempt(current);
      } catch (error) {
        if (error instanceof InDoubt || !(isDeadlock(error) || !current.alive)) throw error;
        if (repeat === REPEATS || performance.now() > deadline) throw error;
      }
    }
  };
  const transaction = <T>(begin: string, work: Work<T>) =>
    repeated(async current => {
      await current.execute(begin);
      let result: T;
      try {
        result = await work(current);
      } catch (error) {
        if (current.alive) await current.execute('ROLLBACK').catch(() => {});
        throw error;
      }
      await current.execute('COMMIT').catch(error => {
        throw new InDoubt(error);
      });
      return result;
    });

  return {
    dialect: DIALECT,
    async open() {
      closed ??= new AbortController();
      failed = undefined;
      await linked(performance.now() + patienceOf(settings));
    },
    async close() {
      claim.forget();
      closed?.abort();
      closed = undefined;
      link = undefined;
    },
    claim: async lost => claim.take(await linked(performance.now() + patienceOf(settings)), lost),
    look: work => repeated(work),
    read: work => transaction('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY', work),
    write: work => transaction('START TRANSACTION', work),
    async home(session) {
      const [row] = await session.query('SELECT @@GLOBAL.server_uuid AS uuid');
      return String(row?.uuid);
    },
    async alter(work) {
      const current = await linked(performance.now() + patienceOf(settings));
      const [row] = await current.query('SELECT GET_LOCK(?, ?) AS locked', [LOCK, settings.connectionTimeout]);
      if (row?.locked !== 1) throw new Error('Another node is changing the schema of the state store.');
      await work(current).finally(() => current.query('SELECT RELEASE_LOCK(?)', [LOCK]).catch(() => {}));
      await claim.renew(current); // in 5.6 a session has one lock only
    },
  };
}

const LOCK = 'mysql2-fabric schema';

interface Link extends Claimant {
  readonly alive: boolean;
}

/** Always tries once; again until the attempts are used up, the time of who waits is over, or the store is closed. */
async function connectPatiently(settings: MysqlSettings, deadline: number, closed: AbortSignal): Promise<Link> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connect(settings, closed);
    } catch (error) {
      const refused = typeof (error as { errno?: unknown }).errno === 'number' && isAnswer(error);
      if (refused || closed.aborted || attempt >= settings.connectionAttempts || performance.now() > deadline) {
        throw new Error(`The state store ${nameOf(settings)} cannot be reached: ${messageOf(error)}`, { cause: error });
      }
    }
    await sleep(settings.connectionDelay * 1_000, undefined, { signal: closed });
  }
}

/** Seconds for which the server keeps a session that says nothing: one of a node whose machine is gone must not hold its lock for long. */
const IDLE = 60;

/**
 * REPEATABLE READ, because READ COMMITTED does not go with the statement format of the binary log, the default of 5.6. A strict mode without
 * ANSI_QUOTES and NO_BACKSLASH_ESCAPES, because values are put into the statements on this side.
 */
const SETTINGS = (seconds: number) =>
  `SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES',
   wait_timeout = ${IDLE}, innodb_lock_wait_timeout = ${Math.max(1, Math.floor(seconds))}`;

/** The session of the node that works on this store; null: none does. Makes nothing. */
export async function mysqlHolder(settings: MysqlSettings, signal: AbortSignal): Promise<number | null> {
  const done = new AbortController();
  try {
    const link = await connect(settings, AbortSignal.any([signal, done.signal]), async () => {});
    const [row] = await link.query('SELECT IS_USED_LOCK(?) AS id', [lockOf(settings.database)]);
    return row?.id === null ? null : Number(row?.id);
  } finally {
    done.abort();
  }
}

/**
 * @param closed ends the connection.
 * @param use is to have the database chosen.
 */
async function connect(settings: MysqlSettings, closed: AbortSignal, use = choose): Promise<Link> {
  const { host, port, user, password, database, connectionTimeout } = settings;
  const timeout = connectionTimeout * 1_000;
  // Ours, because mysql2 only half-closes its own: with a frozen server that never ends.
  const socket = addAbortSignal(closed, connectSocket({ host, port, noDelay: true }));
  const guard = setTimeout(() => socket.destroy(new Error(`no answer within ${timeout} ms`)), timeout);
  try {
    const connection = await createConnection({
      ...{ host, port, user, password, connectTimeout: timeout, charset: 'utf8mb4' },
      stream: () => socket,
    });
    const link = createLink(connection, socket, timeout);
    for (const statement of SETTINGS(connectionTimeout).split(';')) await link.execute(statement);
    await use(database, link);
    return link;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(guard);
  }
}

/** Made when it is missing; so an account that may not make it needs none of that where it is there. */
async function choose(database: string, link: Link): Promise<void> {
  const use = `USE \`${database}\``;
  try {
    await link.execute(use);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ER_BAD_DB_ERROR') throw error;
    await link.execute(`CREATE DATABASE IF NOT EXISTS \`${database}\``);
    await link.execute(use);
  }
}

function createLink(connection: Connection, socket: Socket, timeout: number): Link {
  let alive = true;
  const die = () => {
    alive = false;
    socket.destroy();
  };
  connection.on('error', die);
  connection.on('end', die);
  socket.on('close', die);
  const ask = async (sql: string, values: readonly SqlValue[] = []): Promise<unknown> => {
    // The guard is for a server that is frozen; one that waits for a lock gives up by itself before.
    const guard = setTimeout(die, timeout + 1_000);
    try {
      const [result] = await connection.query<RowDataPacket[] | ResultSetHeader>(sql, [...values]);
      return result;
    } catch (error) {
      if (!isAnswer(error)) die();
      throw error;
    } finally {
      clearTimeout(guard);
    }
  };
  return {
    id: connection.threadId,
    get alive() {
      return alive;
    },
    query: async (sql, values) => (await ask(sql, values)) as Row[],
    execute: async (sql, values) => ((await ask(sql, values)) as ResultSetHeader).affectedRows,
  };
}

/** Whether the server answered, and no. */
function isAnswer(error: unknown): boolean {
  const { sqlState, fatal } = error as { sqlState?: unknown; fatal?: unknown };
  return typeof sqlState === 'string' && fatal !== true;
}

function isDeadlock(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ER_LOCK_DEADLOCK';
}

/** ms for which who has to wait for a connection is ready to do so. */
function patienceOf({ connectionAttempts, connectionTimeout, connectionDelay }: MysqlSettings): number {
  return connectionAttempts * (connectionTimeout + connectionDelay) * 1_000;
}

function nameOf({ host, port }: MysqlSettings): string {
  return `${host}:${port}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
