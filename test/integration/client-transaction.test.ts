import type { Socket } from 'node:net';
import type { RowDataPacket } from 'mysql2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import fabricMysql, { MODE_READONLY } from '../../src/index.js';
import { connect, createPool, type FabricConnection, type FabricPool, run } from '../../src/promise.js';
import type { TestServer } from '../../src/testing.js';
import { Cluster, until } from './cluster.js';

/** `withTransaction` and `run`, on real servers. */

let cluster: Cluster;
let primary: TestServer;
let pool: FabricPool;
let own: FabricConnection;

beforeEach(async () => {
  cluster = await Cluster.start(2);
  primary = await cluster.primary();
  await primary.query('CREATE TABLE app.t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB');
  await primary.query('INSERT INTO app.t VALUES (1, 0), (2, 0)');
  pool = createPool(cluster.clientOptions);
  own = connect(cluster.clientOptions);
});
afterEach(async () => {
  await pool?.end();
  own?.destroy();
  await cluster?.stop();
});

async function contents(): Promise<Record<number, number>> {
  const rows = await (await cluster.primary()).query('SELECT id, n FROM app.t');
  return Object.fromEntries(rows.map(({ id, n }) => [id, n]));
}

const insert = (id: number): string => `INSERT INTO t VALUES (${id}, 0)`;

describe('withTransaction', () => {
  it('commits what the closure did, and gives what it gave', async () => {
    for (const [id, place] of [pool, own].entries()) {
      const given = await place.withTransaction(async connection => {
        await connection.query(insert(id + 10));
        expect((await contents())[id + 10]).toBeUndefined();
        return id;
      });
      expect(given).toBe(id);
    }
    for (const [id, place] of [pool.pool, own.connection].entries()) {
      const core = place as ReturnType<typeof fabricMysql.connect>;
      await core.withTransaction(connection => connection.promise().query(insert(id + 20)));
    }
    expect(Object.keys(await contents())).toEqual(['1', '2', '10', '11', '20', '21']);
    expect(fabricMysql.run).toBe(run);
  });

  it('rolls back and throws on what the closure throws', async () => {
    const reason = new Error('no');
    for (const place of [pool, own]) {
      let times = 0;
      const failed = place.withTransaction(async connection => {
        times += 1;
        await connection.query(insert(10));
        throw reason;
      });
      expect(await failed.catch(caught => caught)).toBe(reason);
      expect(times).toBe(1);
    }
    const wrong = own.withTransaction(connection => connection.query('SELEKT'));
    await expect(wrong).rejects.toMatchObject({ errno: 1064 });
    expect(await contents()).toEqual({ 1: 0, 2: 0 });
    await own.query(insert(3)); // it goes on
  });

  it('refuses nested use, on the pool and on the connection, and what else has a transaction', async () => {
    const nested = { code: 'FABRIC_NESTED_TRANSACTION' };
    for (const place of [pool, own]) {
      await place.withTransaction(async connection => {
        await expect(connection.withTransaction(() => {})).rejects.toMatchObject(nested);
        await expect(place.withTransaction(() => {})).rejects.toMatchObject(nested);
        await connection.query(insert(place === pool ? 3 : 4));
      });
    }
    await pool.withTransaction(() => own.withTransaction(() => {})); // of another session
    await own.beginTransaction();
    await expect(own.withTransaction(() => {})).rejects.toMatchObject(nested);
    await own.query(insert(5));
    await own.commit();
    expect(Object.keys(await contents())).toEqual(['1', '2', '3', '4', '5']);
  });

  it('takes back the connection that it gave', async () => {
    for (const place of [pool, own]) {
      let kept: FabricConnection | undefined;
      await place.withTransaction(connection => {
        kept = connection;
      });
      await expect(kept?.query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_CLOSED' });
      await expect(kept?.ping()).rejects.toMatchObject({ code: 'FABRIC_CLOSED' });
    }
    await own.query('SELECT 1');
  });

  it('has mode and isolation level for this transaction alone', async () => {
    const [secondary] = await cluster.secondaries();
    const options = { mode: MODE_READONLY, isolationLevel: 'READ COMMITTED' } as const;
    for (const place of [pool, own]) {
      const port = await place.withTransaction(async connection => {
        const refused = await connection.query(insert(9)).catch(caught => caught);
        expect([1290, 1792]).toContain(refused.errno); // the server, or the transaction, only reads
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@port AS port');
        return row?.port;
      }, options);
      expect(port).toBe(secondary?.port);
    }
    const [[after]] = await own.query<RowDataPacket[]>('SELECT @@port AS port');
    expect(after?.port).toBe(primary.port);

    let level = '';
    await own.withTransaction(
      async connection => {
        await connection.query('SELECT * FROM t');
        const [row] = await primary.query(
          'SELECT trx_isolation_level AS level FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = ?',
          [own.connection.threadId],
        );
        level = row?.level;
      },
      { isolationLevel: 'SERIALIZABLE' },
    );
    expect(level).toBe('SERIALIZABLE');
  });

  it('runs the one again that a deadlock undid', async () => {
    let runs = 0;
    let holding = 0;
    let meet = () => {};
    const both = new Promise<void>(resolve => {
      meet = resolve;
    });
    const add = (ids: readonly number[]) =>
      pool.withTransaction(async connection => {
        runs += 1;
        await connection.query('UPDATE t SET n = n + 1 WHERE id = ?', [ids[0]]);
        holding += 1;
        if (holding === 2) meet();
        await both;
        await connection.query('UPDATE t SET n = n + 1 WHERE id = ?', [ids[1]]);
      });
    await Promise.all([add([1, 2]), add([2, 1])]);
    expect(runs).toBeGreaterThan(2);
    expect(await contents()).toEqual({ 1: 2, 2: 2 });
  });

  it('rolls back and runs again after a lock wait timeout', async () => {
    await own.beginTransaction();
    await own.query('UPDATE t SET n = 5 WHERE id = 1');
    let runs = 0;
    await pool.withTransaction(async connection => {
      runs += 1;
      if (runs === 2) await own.commit();
      await connection.query(insert(10 + runs));
      await connection.query('SET innodb_lock_wait_timeout = 1');
      await connection.query('UPDATE t SET n = n + 1 WHERE id = 1');
    });
    expect(runs).toBe(2);
    expect(await contents()).toEqual({ 1: 6, 2: 0, 12: 0 });
  });

  it('runs again as often as it may, and throws what came last', async () => {
    await own.beginTransaction();
    await own.query('UPDATE t SET n = 5 WHERE id = 1');
    let runs = 0;
    const work = async (connection: FabricConnection) => {
      runs += 1;
      await connection.query('SET innodb_lock_wait_timeout = 1');
      await connection.query('UPDATE t SET n = n + 1 WHERE id = 1');
    };
    await expect(pool.withTransaction(work, { retries: 1 })).rejects.toMatchObject({ errno: 1205 });
    expect(runs).toBe(2);
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = pool.withTransaction(
      async connection => {
        controller.abort(reason);
        await connection.query(insert(10));
      },
      { signal: controller.signal },
    );
    expect(await aborted.catch(caught => caught)).toBe(reason);
    expect(await contents()).toEqual({ 1: 0, 2: 0 });
  });

  it('does not run again what the closure committed itself', async () => {
    let runs = 0;
    const failed = own.withTransaction(async connection => {
      runs += 1;
      await connection.query(insert(10 + runs));
      await connection.query('CREATE TABLE other (id INT)'); // commits
      throw Object.assign(new Error('as a deadlock'), { errno: 1213 });
    });
    await expect(failed).rejects.toMatchObject({ errno: 1213 });
    expect(runs).toBe(1);
  });

  it('runs again on the new primary when the primary dies', async context => {
    context.skip(!primary.managed, 'a server that somebody else runs cannot be killed');
    await own.query("SET time_zone = '+03:00'");
    for (const [index, place] of [pool, own].entries()) {
      const server = await cluster.primary();
      let runs = 0;
      await place.withTransaction(async connection => {
        runs += 1;
        await connection.query(insert(10 + index));
        if (runs === 1 && index === 0) await server.kill();
        await connection.query(insert(20 + index));
      });
      expect(runs).toBe(index === 0 ? 2 : 1);
    }
    const [[row]] = await own.query<RowDataPacket[]>('SELECT @@time_zone AS zone, @@port AS port');
    expect(row?.zone).toBe('+03:00');
    expect(row?.port).not.toBe(primary.port);
    expect(Object.keys(await contents())).toEqual(['1', '2', '10', '11', '20', '21']);
  });

  it.each(['pool', 'connection'])('says that COMMIT is in doubt, and does not run again: %s', async where => {
    const place = where === 'pool' ? pool : own;
    let runs = 0;
    let server: Promise<void> = Promise.resolve();
    const failed = place.withTransaction(async connection => {
      runs += 1;
      await connection.query(insert(10));
      primary.pause();
      const { stream } = connection.connection as unknown as { stream: Socket };
      const written = stream.bytesWritten;
      server = until('COMMIT is written', () => stream.bytesWritten > written).then(() => {
        stream.destroy();
        primary.resume();
      });
    });
    const error = await failed.catch(caught => caught);
    await server;
    expect(error).toMatchObject({ code: 'FABRIC_IN_DOUBT', fabric: { outcome: 'in-doubt' } });
    expect(error.cause).toMatchObject({ fabric: { outcome: 'in-doubt' } });
    expect(runs).toBe(1);
    await place.query(insert(11));
  });
});

describe('run', () => {
  const PORT = 'SELECT @@port AS port';

  async function portOf(place: FabricPool | FabricConnection, options: object = {}): Promise<number> {
    const [[row]] = await place.query<RowDataPacket[]>({ sql: PORT, ...options });
    return row?.port;
  }

  it('says where statements go that do not say it themselves', async () => {
    const [secondary] = await cluster.secondaries();
    const [first, second] = [primary.port, secondary?.port];
    const seen = await run({ mode: MODE_READONLY }, async () => {
      await until('later', () => true);
      const lent = await pool.getConnection();
      const ports = [await portOf(pool), await portOf(own), await portOf(lent), await portOf(pool, { mode: 3 })];
      lent.release();
      const inner = await run({ mode: 'READWRITE' }, () => portOf(own));
      return [...ports, inner, await portOf(own, { mode: 'READWRITE' })];
    });
    expect(seen).toEqual([second, second, second, first, first, first]);
    expect([await portOf(pool), await portOf(own)]).toEqual([first, first]);
    const nowhere = run({ group: 'nowhere' }, () => pool.query(PORT));
    await expect(nowhere).rejects.toMatchObject({ code: 'FABRIC_NO_SERVER' });
  });

  it('changes nothing in a transaction, and for what belongs to the session', async () => {
    await own.beginTransaction();
    const inside = await run({ mode: MODE_READONLY }, () => portOf(own));
    expect(inside).toBe(primary.port);
    await own.rollback();
    await run({ mode: MODE_READONLY }, async () => {
      await own.query('SET @a = 5');
      await own.beginTransaction();
      const [[row]] = await own.query<RowDataPacket[]>('SELECT @@port AS port, @a AS a');
      expect(row).toEqual({ port: primary.port, a: 5 });
      await own.commit();
    });
  });

  it('refuses properties that there are not', () => {
    expect(() => run({ mode: 0 } as never, () => 1)).toThrow(RangeError);
    expect(() => run({ shard: 1 } as never, () => 1)).toThrow(/shard/);
    expect(run({}, () => 1)).toBe(1);
  });
});
