import { asc, count, like, sql } from 'drizzle-orm';
import { int, mysqlTable, varchar, withReplicas } from 'drizzle-orm/mysql-core';
import { drizzle, type MySql2Database } from 'drizzle-orm/mysql2';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPool, type FabricPool, MODE_READONLY } from '../../src/index.js';
import promises from '../../src/promise.js';
import { OrmGroup } from './orm-group.js';

/** Drizzle over our pools, with its own replicas feature: one replica, which is a pool whose statements go to the secondaries. */

const notes = mysqlTable('notes', {
  id: int().primaryKey().autoincrement(),
  token: varchar({ length: 50 }).notNull(),
});

let group: OrmGroup;
const pools: FabricPool[] = [];
let writer: MySql2Database;
let reader: MySql2Database;

beforeAll(async () => {
  group = await OrmGroup.start();
  const options = group.cluster.clientOptions;
  pools.push(createPool(options), createPool({ ...options, mode: MODE_READONLY }));
  const [writers, readers] = pools;
  if (writers === undefined || readers === undefined) throw new Error('no pools');
  writer = drizzle({ client: writers });
  reader = drizzle({ client: readers });
  await writer.execute(sql`CREATE TABLE ${notes} (id INT AUTO_INCREMENT PRIMARY KEY, token VARCHAR(50) NOT NULL)`);
});
afterAll(async () => {
  for (const pool of pools) await pool.promise().end();
  await group?.stop();
});

const port = { port: sql<number>`@@port` };

it('writes on the primary, reads and streams on a secondary', async () => {
  const { primary, secondaries } = await group.ports();
  const [result] = await writer.insert(notes).values([{ token: 'a' }, { token: 'b' }]);
  expect([result.insertId, result.affectedRows]).toEqual([1, 2]);
  await group.replicated();
  const db = withReplicas(writer, [reader]);
  const tokens = { token: notes.token };
  expect(await db.select(tokens).from(notes).orderBy(asc(notes.id))).toEqual([{ token: 'a' }, { token: 'b' }]);
  const streamed: unknown[] = [];
  for await (const row of reader.select(tokens).from(notes).orderBy(asc(notes.id)).iterator()) streamed.push(row);
  expect(streamed).toEqual([{ token: 'a' }, { token: 'b' }]);
  const [[written], [read]] = await Promise.all([db.$primary.select(port).from(notes), db.select(port).from(notes)]);
  expect(written?.port).toBe(primary);
  expect(secondaries).toContain(read?.port);
  await db.transaction(async transaction => {
    expect((await transaction.select(port).from(notes))[0]?.port).toBe(primary);
  });
});

it('gives the connection back when a stream is left early', async () => {
  await group.replicated();
  for (let turn = 0; turn < 12; turn += 1) {
    for await (const row of reader.select().from(notes).orderBy(asc(notes.id)).iterator()) {
      expect(row).toEqual({ id: 1, token: 'a' });
      break;
    }
  }
});

it('rolls a transaction back, and nests with savepoints', async () => {
  const failing = writer.transaction(async transaction => {
    await transaction.insert(notes).values({ token: 'undone' });
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  await writer.transaction(
    async transaction => {
      const nested = transaction.transaction(async inner => {
        await inner.insert(notes).values({ token: 'undone' });
        inner.rollback();
      });
      await expect(nested).rejects.toThrow('Rollback');
      await transaction.insert(notes).values({ token: 'done' });
    },
    { isolationLevel: 'read committed' },
  );
  const rows = await writer.select({ token: notes.token }).from(notes).where(like(notes.token, '%done'));
  expect(rows).toEqual([{ token: 'done' }]);
});

it('takes the pools and connections of mysql2-fabric/promise too', async () => {
  const pool = promises.createPool(group.cluster.clientOptions);
  const connection = promises.connect(group.cluster.clientOptions);
  for (const client of [pool, connection]) {
    const db = drizzle({ client });
    expect(await db.select({ token: notes.token }).from(notes).where(like(notes.token, 'a'))).toEqual([{ token: 'a' }]);
    await db.transaction(transaction => transaction.insert(notes).values({ token: 'promised' }));
  }
  await Promise.all([pool.end(), connection.end()]);
});

it('goes on when the primary is killed', async () => {
  const db = withReplicas(writer, [reader]);
  await group.failover({
    facts: ['cause', 'fabric'],
    insert: token => db.insert(notes).values({ token }),
    pair: (one, other) =>
      db.transaction(async transaction => {
        await transaction.insert(notes).values({ token: one });
        await transaction.insert(notes).values({ token: other });
      }),
    count: async () => (await db.select({ count: count() }).from(notes))[0]?.count ?? 0,
  });
});
