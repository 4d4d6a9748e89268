import type { PoolConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { ErrorFacts, FabricPool } from '../../src/index.js';
import { createPool } from '../../src/index.js';
import type { TestServer } from '../../src/testing.js';
import { Cluster, until } from './cluster.js';

/** A primary that takes no writes any more, behind everybody's back: whoever hears it loses the connection, on every path there is. */

let cluster: Cluster;
let primary: TestServer;

beforeAll(async () => {
  cluster = await Cluster.start(2);
  primary = await cluster.primary();
  await primary.query('CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB');
});
afterEach(() => setReadOnly(false));
afterAll(() => cluster.stop());

async function setReadOnly(on: boolean): Promise<void> {
  await primary.query(`SET GLOBAL read_only = ${on ? 'ON' : 'OFF'}`);
}

const INSERT = 'INSERT INTO t VALUES (1)';

/** Has a connection of the pool's, on which the path goes when the server takes no writes any more. */
type Path = (pool: FabricPool) => Promise<() => Promise<unknown>>;

function held(begin: (connection: PoolConnection) => Promise<() => Promise<unknown>>): Path {
  return async pool => {
    const connection = await pool.promise().getConnection();
    const go = await begin(connection);
    return () => go().finally(() => connection.release());
  };
}

const PATHS: readonly [name: string, outcome: ErrorFacts['outcome'], path: Path][] = [
  ['pool.query', 'not-executed', async pool => () => pool.promise().query(INSERT)],
  ['pool.execute', 'not-executed', async pool => () => pool.promise().execute(INSERT)],
  [
    'pool.query with events',
    'not-executed',
    async pool => () => new Promise((resolve, reject) => pool.query(INSERT).on('error', reject).on('end', resolve)),
  ],
  ['a view of the pool', 'not-executed', async pool => () => pool.with({ mode: 'WRITEONLY' }).promise().query(INSERT)],
  ['getConnection, query', 'not-executed', held(async connection => () => connection.query(INSERT))],
  ['getConnection, execute', 'not-executed', held(async connection => () => connection.execute(INSERT))],
  [
    'a prepared statement',
    'not-executed',
    held(async connection => {
      const statement = await connection.prepare('INSERT INTO t VALUES (?)');
      return () => statement.execute([1]);
    }),
  ],
  [
    'a transaction',
    'rolled-back',
    held(async connection => {
      await connection.beginTransaction();
      return () => connection.query(INSERT).finally(() => connection.rollback());
    }),
  ],
  [
    'a transaction by SQL, prepared',
    'rolled-back',
    held(async connection => {
      await connection.query('BEGIN');
      return () => connection.execute(INSERT).finally(() => connection.query('ROLLBACK'));
    }),
  ],
  [
    'a COMMIT',
    'rolled-back',
    held(async connection => {
      await connection.beginTransaction();
      await connection.query(INSERT);
      return () => connection.commit();
    }),
  ],
];

it.each(PATHS)('%s: %s, and the connection ends', async (_name, outcome, path) => {
  const pool = createPool({ ...cluster.clientOptions, connectionLimit: 1, failoverTimeout: 0 });
  try {
    const [[row]] = (await pool.promise().query('SELECT CONNECTION_ID() AS id')) as never as [[{ id: number }]];
    const go = await path(pool);
    await setReadOnly(true);
    await expect(go()).rejects.toMatchObject({ errno: 1290, fabric: { outcome } });
    await until('the connection has ended', async () => {
      const found = await primary.query('SELECT 1 FROM information_schema.processlist WHERE id = ?', [row.id]);
      return found.length === 0;
    });
    await setReadOnly(false);
    await pool.promise().query('DELETE FROM t');
    await pool.promise().query(INSERT); // it was not executed before
    await pool.promise().query('DELETE FROM t');
  } finally {
    await pool.promise().end();
  }
});
