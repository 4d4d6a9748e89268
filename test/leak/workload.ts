import type { EventEmitter } from 'node:events';
import ours, { type FabricPool } from '../../src/index.js';
import promised, { type FabricConnection } from '../../src/promise.js';
import type { World } from './world.js';

/** What an application does with this client, again and again: each way to send a statement, and what fails too. */

const GROUP = 'g';
const CALLERS = 16;
const CONNECTIONS = 4;
/** More sockets than this it never has: its pools and connections to two servers, and its calls to two nodes. */
export const MOST_RESOURCES = 2 * 2 * CONNECTIONS + 8;

type Way = (pool: FabricPool, n: number) => Promise<unknown>;

/** They take turns. What they say is new each time now and then, so that whoever remembers by text, value or error is found out. */
const WAYS: readonly Way[] = [
  pool => pool.promise().query('SELECT 1'),
  (pool, n) => pool.promise().execute('SELECT ? + 1', [n]),
  pool => pool.promise().query({ sql: 'SELECT id, n FROM leak WHERE id < 3', mode: 1 }),
  (pool, n) => pool.promise().query(`SELECT ${n} AS n`),
  (pool, n) => pool.promise().execute({ sql: 'SELECT n FROM leak WHERE id = ?', mode: 1 }, [n % 100]),
  transaction,
  (pool, n) =>
    new Promise((resolve, reject) => pool.query('SELECT ? AS n', [n], (e, rows) => (e ? reject(e) : resolve(rows)))),
  pool => drained(pool.query('SELECT 1 UNION SELECT 2')),
  (pool, n) => expectError(pool.promise().query(`SELECT * FROM none_${n % 100}`), 1146),
  pool => pool.promise().query('SELECT 1'),
  pool => pool.promise().query({ sql: 'SELECT 1', mode: 1 }),
];

async function transaction(pool: FabricPool, n: number): Promise<void> {
  if (n % 50 !== 0) return void (await pool.promise().query('SELECT 1'));
  const connection = await pool.promise().getConnection();
  try {
    await connection.beginTransaction();
    await connection.query('UPDATE leak SET n = n + 1 WHERE id = ?', [n % 100]);
    await connection.commit();
  } finally {
    connection.release();
  }
}

function drained(query: ReturnType<FabricPool['query']>): Promise<void> {
  return new Promise((resolve, reject) => {
    query.on('error', reject);
    query.on('end', () => resolve());
  });
}

async function expectError(work: Promise<unknown>, errno: number): Promise<void> {
  await work.then(
    () => Promise.reject(new Error(`no error ${errno}`)),
    error => (error.errno === errno ? undefined : Promise.reject(error)),
  );
}

export class Workload {
  /** Statements that failed while the group changed: they were told so. */
  failed = 0;
  statements = 0;
  readonly #real: FabricPool;
  readonly #everNew: FabricPool;
  readonly #connection: FabricConnection;
  readonly #options;

  constructor({ real, everNew }: World, account: object) {
    // mysql2 sets aside memory for as many as may be: half a megabyte per connection by default, which would hide what leaks.
    const small = { connectionLimit: CONNECTIONS, maxPreparedStatements: 20 };
    const common = { ...account, ...small, group: GROUP, ttl: 0.02 };
    this.#options = { ...common, fabric: { host: '127.0.0.1', port: real } };
    this.#real = ours.createPool(this.#options);
    this.#everNew = ours.createPool({ ...common, fabric: { host: '127.0.0.1', port: everNew } });
    this.#connection = ours.connect(this.#options).promise();
  }

  /** Runs that many statements from several callers at once, more while `others` are under way, and is quiet then. */
  async run(count: number, others: Promise<unknown>): Promise<void> {
    const end = this.statements + count;
    let waitedFor = false;
    const done = others.finally(() => {
      waitedFor = true;
    });
    const going = (): boolean => this.statements < end || !waitedFor;
    const caller = async (): Promise<void> => {
      while (going()) await this.#next(this.statements++);
    };
    // The connection has one caller, as connections have.
    const own = async (): Promise<void> => {
      while (going()) await this.#survive(this.#connection.query('SELECT ? AS n', [this.statements++]));
    };
    await Promise.all([done, own(), ...Array.from({ length: CALLERS }, caller)]);
  }

  async #next(n: number): Promise<void> {
    await this.#survive((WAYS[n % WAYS.length] as Way)(n % 10 === 9 ? this.#everNew : this.#real, n));
  }

  async #survive(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      // Every error of a routed statement says how far it got; another one is a defect.
      if ((error as { fabric?: unknown }).fabric === undefined) throw error;
      this.failed += 1;
    }
  }

  /** One that comes and goes, as in a script. */
  async visit(): Promise<void> {
    const pool = promised.createPool(this.#options);
    await this.#survive(Promise.all([pool.query('SELECT 1'), pool.execute({ sql: 'SELECT ? AS n', mode: 1 }, [1])]));
    await pool.end();
    const connection = await promised.createConnection(this.#options);
    await this.#survive(connection.query('SELECT 1'));
    await connection.end();
  }

  /** Of all that lives as long as the application: the pools, the connection, the process. */
  listeners(): number {
    const emitters: EventEmitter[] = [process, this.#real, this.#everNew, this.#connection];
    let sum = 0;
    for (const emitter of emitters) for (const name of emitter.eventNames()) sum += emitter.listenerCount(name);
    return sum;
  }

  async end(): Promise<void> {
    await Promise.all([this.#real.promise().end(), this.#everNew.promise().end(), this.#connection.end()]);
  }
}
