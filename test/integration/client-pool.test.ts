import mysql, { type FieldPacket, type RowDataPacket } from 'mysql2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import fabricMysql, { type FabricPool, type FabricPoolOptions } from '../../src/index.js';
import { accounts, type TestServer } from '../../src/testing.js';
import { Cluster, until } from './cluster.js';

type Rows = RowDataPacket[];

let cluster: Cluster;
let primary: TestServer;
const open: FabricPool[] = [];

beforeAll(async () => {
  cluster = await Cluster.start(3);
  primary = await cluster.primary();
  await primary.query('CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB');
  await primary.query('CREATE TABLE app.big (id INT PRIMARY KEY, text TEXT) ENGINE=InnoDB');
  const rows = Array.from({ length: 500 }, (_, i) => `(${i}, REPEAT('x', 2000))`);
  await primary.query(`INSERT INTO app.big VALUES ${rows.join(',')}`);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map(pool => pool.promise().end()));
  await primary.query('DELETE FROM app.t');
});
afterAll(() => cluster.stop());

function create(options: Partial<FabricPoolOptions> = {}): FabricPool {
  const pool = fabricMysql.createPool({ ...cluster.clientOptions, ...options });
  open.push(pool);
  return pool;
}

const sleepers = (pool: FabricPool, count: number, seconds: number) =>
  Array.from({ length: count }, () => pool.promise().query(`SELECT SLEEP(${seconds})`));

/** Connections of the application that the server has now. */
/** A killed one is closed at once, though MySQL 5.6 may go on listing it. */
async function connectionsOf(server: TestServer): Promise<number> {
  const [row] = await server.query(
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = ? AND command <> 'Killed'",
    [accounts.app.user],
  );
  return row?.n;
}

async function ports(pool: FabricPool, count: number, options: object = {}): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const [[row]] = await pool.promise().query<Rows>({ sql: 'SELECT @@port AS port', ...options });
    found.push(row?.port);
  }
  return found;
}

describe('a pool', () => {
  it('sends writes to the primary and shares reads among the secondaries', async () => {
    const pool = create();
    expect(new Set(await ports(pool, 10))).toEqual(new Set([primary.port]));
    const reads = await ports(pool, 40, { mode: 1 });
    const secondaries = (await cluster.secondaries()).map(({ port }) => port);
    expect(secondaries.map(port => reads.filter(each => each === port).length)).toEqual([20, 20]);
  });

  it('follows the weights', async () => {
    const [heavy] = await cluster.secondaries();
    await cluster.call('server.set_weight', heavy?.address, 0.25);
    try {
      const pool = create({ mode: 'READONLY' });
      const reads = await ports(pool, 50);
      expect(reads.filter(port => port === heavy?.port)).toHaveLength(10);
    } finally {
      await cluster.call('server.set_weight', heavy?.address, 1);
    }
  });

  it('knows query, execute, getConnection and release, with callbacks and promises', async () => {
    const pool = create();
    const rows = await new Promise((resolve, reject) => {
      pool.getConnection((error, connection) => {
        if (error) return reject(error);
        connection.execute('SELECT ? AS a', [1], (failed, found) => {
          connection.release();
          if (failed) reject(failed);
          else resolve(found);
        });
      });
    });
    expect(rows).toEqual([{ a: 1 }]);
    const promised = pool.promise();
    expect((await promised.execute('SELECT ? AS a', [2]))[0]).toEqual([{ a: 2 }]);
    const connection = await promised.getConnection();
    expect(connection.connection).toBeInstanceOf(mysql.Connection);
    expect(connection.setProperty({ mode: 1 })).toBe(connection);
    expect((await connection.query<Rows>('SELECT @@port AS port'))[0][0]?.port).not.toBe(primary.port);
    expect(connection.server?.port).not.toBe(primary.port);
    connection.release();
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_CLOSED' });
    expect(pool.properties.mode).toBe(3);
  });

  it('tells its events', async () => {
    const pool = create();
    const heard: string[] = [];
    for (const name of ['connection', 'acquire', 'release']) pool.on(name as 'release', () => heard.push(name));
    const connection = await pool.promise().getConnection();
    connection.release();
    await until('release', () => heard.length === 3, 2_000);
    expect(heard).toEqual(['connection', 'acquire', 'release']);
  });

  it('reuses a connection whose work is done', async () => {
    const pool = create();
    const ids = new Set<number>();
    for (let n = 0; n < 20; n += 1) {
      const [[row]] = await pool.promise().query<Rows>('SELECT CONNECTION_ID() AS id');
      ids.add(row?.id);
    }
    expect(ids.size).toBe(1);
  });

  const LEFT_OPEN: readonly [name: string, leave: (pool: FabricPool) => Promise<unknown>][] = [
    [
      'by a connection that is released',
      async pool => {
        const connection = await pool.promise().getConnection();
        await connection.beginTransaction();
        await connection.query('INSERT INTO t VALUES (1)');
        connection.release();
      },
    ],
    [
      'by one that began it with events',
      async pool => {
        const connection = await pool.promise().getConnection();
        await new Promise(resolve => connection.connection.query('BEGIN').on('end', resolve));
        await connection.query('INSERT INTO t VALUES (1)');
        connection.release();
      },
    ],
    [
      'by several statements of which one failed',
      async pool => {
        const connection = await pool.promise().getConnection();
        await connection.query('BEGIN; INSERT INTO t VALUES (1); SELEKT').catch(() => {});
        connection.release();
      },
    ],
    ['by a statement of the pool', pool => pool.promise().query('BEGIN')],
  ];

  it.each(LEFT_OPEN)('lets nobody inherit a transaction left open %s', async (_name, leave) => {
    const pool = create({ connectionLimit: 1, multipleStatements: true });
    await leave(pool);
    await pool.promise().query('INSERT INTO t VALUES (2)');
    const others = create();
    expect((await others.promise().query('SELECT id FROM t'))[0]).toEqual([{ id: 2 }]);
  });

  it('lets nobody inherit another user', async () => {
    const pool = create({ connectionLimit: 1 });
    const connection = await pool.promise().getConnection();
    await connection.changeUser({ ...accounts.fabric }).catch(() => {}); // mysql2 cannot with MySQL 5.6
    connection.release();
    const [[row]] = await pool.promise().query<Rows>('SELECT CURRENT_USER() AS user');
    expect(row?.user).toMatch(/^app@/);
  });
});

describe('limits', () => {
  it('connectionLimit is per server, and callers beyond it wait in their order', async () => {
    const pool = create({ connectionLimit: 2 });
    const done: number[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        await pool.promise().query('SELECT SLEEP(0.02)');
        done.push(n);
      }),
    );
    expect(await connectionsOf(primary)).toBe(2);
    expect(done.slice(6).sort()).toEqual([6, 7]);
    expect(pool.stats()).toMatchObject([{ size: 2, busy: 0, waiting: 0 }]);
  });

  it('acquireTimeout bounds the wait', async () => {
    const pool = create({ connectionLimit: 1, acquireTimeout: 100 });
    const running = sleepers(pool, 1, 1);
    await until('it runs', () => pool.stats()[0]?.busy === 1, 2_000);
    const began = performance.now();
    await expect(pool.promise().query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_TIMEOUT' });
    expect(performance.now() - began).toBeGreaterThan(90);
    expect(performance.now() - began).toBeLessThan(900);
    await Promise.all(running);
    await pool.promise().query('SELECT 1');
  });

  it('queueLimit and waitForConnections refuse at once', async () => {
    for (const options of [{ queueLimit: 1 }, { waitForConnections: false }]) {
      const pool = create({ connectionLimit: 1, ...options });
      await pool.promise().query('SELECT 1');
      const running = sleepers(pool, 'queueLimit' in options ? 2 : 1, 0.3);
      const began = performance.now();
      await expect(pool.promise().query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_QUEUE_LIMIT' });
      expect(performance.now() - began).toBeLessThan(250);
      await Promise.all(running);
    }
  });

  it('minConnections are opened, maxIdle is not exceeded, and idle ones are closed after idleTimeout', async () => {
    const least = create({ minConnections: 3 });
    await least.promise().query('SELECT 1');
    await until('3 connections', () => least.stats()[0]?.size === 3, 3_000);
    const idle = create({ connectionLimit: 5, maxIdle: 2 });
    await Promise.all(sleepers(idle, 5, 0.1));
    await until('2 idle ones', () => idle.stats()[0]?.size === 2, 2_000);
    const brief = create({ connectionLimit: 5, idleTimeout: 500 });
    await Promise.all(sleepers(brief, 5, 0.1));
    expect(brief.stats()[0]?.size).toBe(5);
    await until('none is left', () => brief.stats()[0]?.size === 0, 6_000);
  });
});

describe('connections that were lost while idle', () => {
  it.each([{}, { validateAfter: 0 }])('are handed to nobody: %j', async options => {
    const pool = create({ connectionLimit: 4, ...options });
    await Promise.all(sleepers(pool, 4, 0.05));
    const rows = await primary.query('SELECT id FROM information_schema.processlist WHERE user = ?', [
      accounts.app.user,
    ]);
    for (const { id } of rows) await primary.query(`KILL ${id}`).catch(() => {});
    await until('all are gone', async () => (await connectionsOf(primary)) === 0);
    await new Promise(resolve => setTimeout(resolve, 50));
    await Promise.all(Array.from({ length: 4 }, (_, id) => pool.promise().query('INSERT INTO t VALUES (?)', [id])));
    const connection = await pool.promise().getConnection();
    await connection.ping();
    connection.release();
  });
});

describe('without a callback', () => {
  it('rows are events', async () => {
    const pool = create();
    const heard: string[] = [];
    await new Promise<void>((resolve, reject) => {
      pool
        .query('SELECT 1 AS a UNION SELECT 2')
        .on('error', reject)
        .on('fields', fields => heard.push(`fields ${(fields as unknown as FieldPacket[])[0]?.name}`))
        .on('result', row => heard.push(JSON.stringify(row)))
        .on('end', resolve);
    });
    expect(heard).toEqual(['fields a', '{"a":1}', '{"a":2}']);
  });

  it('an error is an event, once, then the end', async () => {
    const heard: string[] = [];
    const command = create().query('SELEKT');
    command.on('error', error => heard.push(String((error as NodeJS.ErrnoException).code)));
    await new Promise(resolve => command.on('end', resolve));
    expect(heard).toEqual(['ER_PARSE_ERROR']);
  });

  it('a stream reads at its readers pace, and the connection is free after it', async () => {
    const pool = create({ connectionLimit: 1 });
    const ids: number[] = [];
    for await (const row of pool.query('SELECT * FROM big ORDER BY id').stream({ highWaterMark: 5 })) {
      ids.push(row.id);
      if (ids.length % 50 === 0) await new Promise(resolve => setTimeout(resolve, 5));
    }
    expect(ids).toEqual(Array.from({ length: 500 }, (_, i) => i));
    await pool.promise().query('SELECT 1');
  });

  it('a stream that nobody reads holds the server back; one that is given up frees the connection', async () => {
    const pool = create({ connectionLimit: 1 });
    const query = pool.query('SELECT a.id, a.text FROM big a, big b');
    let seen = 0;
    query.on('result', () => {
      seen += 1;
    });
    const stream = query.stream({ highWaterMark: 5 });
    stream.once('readable', () => stream.read());
    await new Promise(resolve => setTimeout(resolve, 300));
    const before = seen;
    await new Promise(resolve => setTimeout(resolve, 200));
    expect(seen).toBe(before);
    expect(seen).toBeLessThan(5_000);
    stream.destroy();
    await pool.promise().query('SELECT 1'); // behind 250,000 rows that are thrown away
  });

  it('a connection lost in the midst of a stream is one error', async () => {
    const pool = create({ connectionLimit: 1 });
    const [[row]] = await pool.promise().query<Rows>('SELECT CONNECTION_ID() AS id');
    const stream = pool.query('SELECT a.id FROM big a, big b, big c').stream();
    const errors: unknown[] = [];
    stream.on('error', error => errors.push(error));
    stream.once('data', () => void primary.query(`KILL ${row?.id}`));
    stream.on('data', () => {});
    await new Promise(resolve => stream.on('close', resolve));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ fabric: { outcome: 'in-doubt' } });
    await pool.promise().query('SELECT 1');
  });

  it('a timeout ends it, and the busy connection is not used again', async () => {
    const pool = create({ connectionLimit: 1 });
    const command = pool.query({ sql: 'SELECT SLEEP(2)', timeout: 100 });
    const began = performance.now();
    const error = await new Promise(resolve => command.on('error', resolve));
    expect(error).toMatchObject({ code: 'PROTOCOL_SEQUENCE_TIMEOUT' });
    const callback = await pool
      .promise()
      .query({ sql: 'SELECT SLEEP(2)', timeout: 100 })
      .catch(caught => caught);
    expect(callback).toMatchObject({ code: 'PROTOCOL_SEQUENCE_TIMEOUT', fabric: { outcome: 'in-doubt' } });
    await pool.promise().query('SELECT 1');
    expect(performance.now() - began).toBeLessThan(1_500);
  });
});
