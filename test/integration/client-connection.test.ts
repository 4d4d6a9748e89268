import mysql, { type ResultSetHeader, type RowDataPacket } from 'mysql2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import fabricMysql, { type ErrorFacts, type FabricConnection, MODE_READONLY, MODE_READWRITE } from '../../src/index.js';
import fabricPromise from '../../src/promise.js';
import type { TestServer } from '../../src/testing.js';
import { Cluster, until } from './cluster.js';

type Rows = RowDataPacket[];

let cluster: Cluster;
let primary: TestServer;
const open: { destroy(): void }[] = [];

beforeAll(async () => {
  cluster = await Cluster.start(3);
  primary = await cluster.primary();
  await primary.query("GRANT CREATE TEMPORARY TABLES ON app.* TO 'app'@'%'");
  await primary.query('CREATE TABLE app.t (id INT PRIMARY KEY, text VARCHAR(100)) ENGINE=InnoDB');
});
afterEach(async () => {
  for (const connection of open.splice(0)) connection.destroy();
  await primary.query('DELETE FROM app.t');
});
afterAll(() => cluster.stop());

/** A connection with promises, and the callback connection under it. */
function connect(options: object = {}): ReturnType<typeof fabricPromise.connect> {
  const connection = fabricPromise.connect({ ...cluster.clientOptions, ...options });
  open.push(connection);
  return connection;
}

function core(options: object = {}): FabricConnection {
  const connection = fabricMysql.connect({ ...cluster.clientOptions, ...options });
  open.push(connection);
  return connection;
}

type Queryable = { query<T extends Rows>(sql: string | object): Promise<[T, unknown]> };

async function portOf(connection: Queryable, options: object = {}): Promise<number> {
  const [[row]] = await connection.query<Rows>({ sql: 'SELECT @@port AS port', ...options });
  return row?.port;
}

async function idOf(connection: Queryable): Promise<number> {
  const [[row]] = await connection.query<Rows>('SELECT CONNECTION_ID() AS id');
  return row?.id;
}

/** With MySQL 5.6, mysql2 sends no password with COM_CHANGE_USER, and so is refused. */
const refusesChange = (): boolean => primary.version.startsWith('5.6');

/** The database then in use, and whether the change was made. */
async function changeUser(connection: ReturnType<typeof connect>): Promise<[database: string, outcome: string]> {
  try {
    await connection.changeUser({ database: 'mysql' });
    return ['mysql', 'changed'];
  } catch (error) {
    return [String(cluster.clientOptions.database), (error as { fabric: ErrorFacts }).fabric.outcome];
  }
}

async function isOpen(id: number, server = primary): Promise<boolean> {
  const rows = await server.query('SELECT 1 FROM information_schema.processlist WHERE id = ?', [id]);
  return rows.length > 0;
}

describe('both doors', () => {
  it('give connections and pools that are mysql2s', async () => {
    expect(core()).toBeInstanceOf(mysql.Connection);
    const pool = fabricMysql.createPool(cluster.clientOptions);
    expect(pool).toBeInstanceOf((mysql as unknown as { Pool: new () => unknown }).Pool);
    await pool.promise().end();
    const connection = await fabricPromise.createConnection(cluster.clientOptions);
    open.push(connection);
    expect(connection.connection).toBeInstanceOf(mysql.Connection);
    expect(await portOf(connection)).toBe(primary.port);
  });

  it('offer what mysql2 offers', () => {
    const missing = (ours: object, theirs: object) => Object.keys(theirs).filter(name => !(name in ours));
    expect(missing(fabricMysql, mysql)).toEqual([]);
    expect(fabricMysql.escape("it's")).toBe(mysql.escape("it's"));
    expect(core().escape("it's")).toBe(mysql.escape("it's"));
    expect(core().format('SELECT ?', [1])).toBe('SELECT 1');
  });
});

describe('a connection', () => {
  it('is made by the first statement, not before', async () => {
    const connection = connect();
    expect(connection.server).toBeUndefined();
    expect(connection.connection.state).toBe('disconnected');
    expect(await portOf(connection)).toBe(primary.port);
    expect(connection.server?.port).toBe(primary.port);
    expect(connection.connection.threadId).toBe(await idOf(connection));
    expect(connection.fabricUuid).toMatch(/^[\da-f-]{36}$/);
  });

  it('runs every kind of statement', async () => {
    const connection = connect();
    await connection.connect();
    await connection.ping();
    const [inserted] = await connection.query<ResultSetHeader>('INSERT INTO t VALUES (?, ?)', [1, 'a']);
    expect(inserted.affectedRows).toBe(1);
    await connection.execute('INSERT INTO t VALUES (?, ?)', [2, 'b']);
    const [rows, fields] = await connection.execute<Rows>('SELECT * FROM t ORDER BY id');
    expect(rows).toEqual([
      { id: 1, text: 'a' },
      { id: 2, text: 'b' },
    ]);
    expect(fields.map(({ name }) => name)).toEqual(['id', 'text']);
    expect((await connection.query({ sql: 'SELECT 1, 2', rowsAsArray: true }))[0]).toEqual([[1, 2]]);
  });

  it('changes its user and database', async () => {
    const connection = connect();
    const [database, outcome] = await changeUser(connection);
    expect((await connection.query('SELECT DATABASE() AS d'))[0]).toEqual([{ d: database }]);
    expect(outcome).toBe(refusesChange() ? 'answered' : 'changed');
  });

  it('knows the options of mysql2', async () => {
    const connection = connect({ namedPlaceholders: true, multipleStatements: true, rowsAsArray: true });
    expect((await connection.query('SELECT :a, :b', { a: 1, b: 'x' }))[0]).toEqual([[1, 'x']]);
    const [results] = await connection.query<Rows[]>('SELECT 1; SELECT 2');
    expect(results).toEqual([[[1]], [[2]]]);
  });

  it('runs statements in the order in which they were given, also before it is connected', async () => {
    const connection = connect();
    const given = [1, 2, 3, 4, 5].map(id => connection.query('INSERT INTO t VALUES (?, LAST_INSERT_ID())', [id]));
    const seen = connection.query<Rows>('SELECT COUNT(*) AS n FROM t');
    await Promise.all(given);
    expect((await seen)[0]).toEqual([{ n: 5 }]);
  });

  it('says wrong SQL as mysql2 does, with how far it got', async () => {
    const connection = connect();
    const error = await connection.query('SELEKT 1').catch(caught => caught);
    expect(error).toMatchObject({ code: 'ER_PARSE_ERROR', errno: 1064, sqlState: '42000' });
    expect(error.fabric).toMatchObject({ outcome: 'answered', group: Cluster.group, mode: 3 });
    expect(error.fabric.server.port).toBe(primary.port);
    expect(await portOf(connection)).toBe(primary.port);
  });

  it('throws bad arguments as mysql2 does, and goes on', async () => {
    const connection = connect();
    await expect(connection.execute('SELECT ?', [undefined] as never)).rejects.toThrow(/undefined/);
    expect(await portOf(connection)).toBe(primary.port);
    const callbacks = core();
    expect(() => callbacks.execute('SELECT ?', [undefined] as never, () => {})).toThrow(/undefined/);
    expect(() => callbacks.execute('SELECT ?', [() => {}] as never)).toThrow(/function/);
    expect(() => callbacks.execute('SELECT ?', { a: 1 })).toThrow(/must be array/);
    expect(() => callbacks.query(undefined as never)).toThrow(TypeError);
    expect(await portOf(callbacks.promise())).toBe(primary.port);
  });

  it('tells a wrong password at once, in MySQLs words', async () => {
    const began = performance.now();
    const connection = connect({ password: 'wrong' });
    const error = await connection.query('SELECT 1').catch(caught => caught);
    expect(error).toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR', errno: 1045 });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('tells an unknown group, and the lack of one, at once', async () => {
    const began = performance.now();
    await expect(connect({ group: 'nowhere' }).query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_NO_SERVER' });
    await expect(connect({ group: undefined }).query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_NO_SERVER' });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('takes nothing after end or destroy', async () => {
    const ended = connect();
    await ended.query('SELECT 1');
    const id = await idOf(ended);
    await ended.end();
    await until('the connection is closed', async () => !(await isOpen(id)));
    await expect(ended.query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_CLOSED' });
    const destroyed = connect();
    await destroyed.query('SELECT 1');
    const running = destroyed.query('SELECT SLEEP(10)');
    destroyed.destroy();
    await expect(running).rejects.toMatchObject({ fabric: { outcome: 'in-doubt' } });
    await expect(destroyed.query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_CLOSED' });
  });
});

describe('setProperty', () => {
  it('returns the connection, and routes from then on', async () => {
    const connection = connect({ group: undefined });
    expect(connection.setProperty({ group: Cluster.group, mode: MODE_READONLY })).toBe(connection);
    expect(await portOf(connection)).not.toBe(primary.port);
    connection.setProperty({ mode: MODE_READWRITE });
    expect(await portOf(connection)).toBe(primary.port);
    expect(connection.properties).toEqual({ group: Cluster.group, mode: MODE_READWRITE });
    expect(connection.resetProperties().properties).toEqual({ group: null, mode: MODE_READWRITE });
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_NO_SERVER' });
  });

  it('closes the physical connection and rolls back what was open on it', async () => {
    const connection = connect();
    const before = await idOf(connection);
    await connection.beginTransaction();
    await connection.query('INSERT INTO t VALUES (1, NULL)');
    connection.setProperty({ group: Cluster.group });
    expect((await connection.query('SELECT * FROM t'))[0]).toEqual([]);
    expect(await idOf(connection)).not.toBe(before);
    await until('the connection is closed', async () => !(await isOpen(before)));
  });

  it('leaves all as it was when a property is wrong', async () => {
    const connection = connect();
    const before = await idOf(connection);
    expect(() => connection.setProperty({ mode: 0 as never })).toThrow(RangeError);
    expect(await idOf(connection)).toBe(before);
  });

  it('takes effect behind what was given before it', async () => {
    const connection = connect();
    const first = portOf(connection);
    connection.setProperty({ mode: MODE_READONLY });
    const second = portOf(connection);
    expect(await first).toBe(primary.port);
    expect(await second).not.toBe(primary.port);
  });

  it('may be said for one statement', async () => {
    const connection = connect();
    expect(await portOf(connection, { mode: MODE_READONLY })).not.toBe(primary.port);
    expect(await portOf(connection)).toBe(primary.port);
    expect(connection.properties.mode).toBe(MODE_READWRITE);
    await expect(connection.query({ sql: 'SELECT 1', mode: 0 } as never)).rejects.toThrow(RangeError);
  });
});

describe('a transaction', () => {
  it('commits and rolls back', async () => {
    const connection = connect();
    await connection.beginTransaction();
    await connection.query('INSERT INTO t VALUES (1, NULL)');
    await connection.commit();
    await connection.beginTransaction();
    await connection.query('INSERT INTO t VALUES (2, NULL)');
    await connection.rollback();
    expect((await connection.query('SELECT id FROM t'))[0]).toEqual([{ id: 1 }]);
  });

  /** However it is begun. */
  const BEGINNINGS: readonly [name: string, begin: (connection: FabricConnection) => Promise<unknown>][] = [
    ['beginTransaction', connection => connection.promise().beginTransaction()],
    ['BEGIN', connection => connection.promise().query('BEGIN')],
    ['autocommit = 0', connection => connection.promise().query('SET autocommit = 0')],
    ['several statements', connection => connection.promise().query('BEGIN; SELECT 1')],
    [
      'several statements of which one fails',
      c =>
        c
          .promise()
          .query('BEGIN; SELEKT')
          .catch(() => {}),
    ],
    ['without a callback', connection => new Promise(resolve => connection.query('BEGIN').on('end', resolve))],
  ];

  it.each(BEGINNINGS)('stays on its connection, whatever mode a statement has: %s', async (_name, begin) => {
    const callback = core({ multipleStatements: true });
    const connection = callback.promise();
    const id = await idOf(connection);
    await begin(callback);
    await connection.query('INSERT INTO t VALUES (7, NULL)');
    const [rows] = await connection.query<Rows>({ sql: 'SELECT id, CONNECTION_ID() AS c FROM t', mode: 1 } as never);
    expect(rows).toEqual([{ id: 7, c: id }]);
    await connection.rollback();
  });

  it('that is lost between two statements is told by an error, until it is ended', async () => {
    const connection = connect();
    const id = await idOf(connection);
    await connection.beginTransaction();
    await connection.query('INSERT INTO t VALUES (1, NULL)');
    await primary.query(`KILL ${id}`);
    await until('it is gone', async () => !(await isOpen(id)));
    await new Promise(resolve => setTimeout(resolve, 50));
    const error = await connection.query('INSERT INTO t VALUES (2, NULL)').catch(caught => caught);
    expect(error).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST', fabric: { outcome: 'rolled-back' } });
    await connection.rollback();
    expect((await connection.query('SELECT * FROM t'))[0]).toEqual([]);
  });
});

describe('session state', () => {
  async function killed(connection: ReturnType<typeof connect>): Promise<void> {
    const id = await idOf(connection);
    await until('it is gone', async () => {
      await primary.query(`KILL ${id}`).catch(() => {}); // MySQL 5.6 may miss one that comes as the thread goes to sleep
      return !(await isOpen(id));
    });
    await new Promise(resolve => setTimeout(resolve, 50));
  }

  it.each([
    ['a variable', 'SET @a = 1'],
    ['a variable behind a comment', '-- why\nSET @a = 1'],
    ['a temporary table', 'CREATE TEMPORARY TABLE tmp (a INT)'],
    ['a lock', "SELECT GET_LOCK('l', 1)"],
  ])('that is lost is told by an error, once: %s', async (_name, sql) => {
    const connection = connect();
    await connection.query(sql);
    await killed(connection);
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
    await connection.query('SELECT 1');
  });

  it('is gone after a reset, as far as the server knows how to (MySQL 5.7 and later)', async () => {
    const connection = connect();
    await connection.query('SET @a = 1');
    await connection.beginTransaction();
    const reset = await connection.reset().then(
      () => true,
      () => false,
    );
    await killed(connection);
    const again = await connection.query('SELECT 1').then(
      () => true,
      () => false,
    );
    expect([reset, again]).toEqual(primary.version.startsWith('5.6') ? [false, false] : [true, true]);
  });

  it('a connection without any is replaced silently', async () => {
    const connection = connect();
    await killed(connection);
    expect(await portOf(connection)).toBe(primary.port);
  });

  it('a prepared statement is prepared anew where it comes to run', async () => {
    const connection = connect();
    const statement = await connection.prepare('SELECT ? + 1 AS n, CONNECTION_ID() AS id');
    const [[before]] = (await statement.execute([1])) as unknown as [Rows];
    expect(before).toMatchObject({ n: 2, id: await idOf(connection) });
    await killed(connection);
    const [[after]] = (await statement.execute([2])) as unknown as [Rows];
    expect(after?.n).toBe(3);
    expect(after?.id).not.toBe(before?.id);
    await statement.close();
  });
});
