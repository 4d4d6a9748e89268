import { type Generated, Kysely, MysqlDialect, sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPool, MODE_READONLY } from '../../src/index.js';
import { OrmGroup } from './orm-group.js';

/** Kysely over our pools: one for writes, one whose statements go to the secondaries. */

interface Database {
  notes: { id: Generated<number>; token: string };
}

let group: OrmGroup;
let db: Kysely<Database>;
let reader: Kysely<Database>;

beforeAll(async () => {
  group = await OrmGroup.start();
  const options = group.cluster.clientOptions;
  db = new Kysely<Database>({ dialect: new MysqlDialect({ pool: createPool(options) }) });
  reader = new Kysely<Database>({
    dialect: new MysqlDialect({ pool: createPool({ ...options, mode: MODE_READONLY }) }),
  });
  await db.schema
    .createTable('notes')
    .addColumn('id', 'integer', column => column.primaryKey().autoIncrement())
    .addColumn('token', 'varchar(50)')
    .execute();
});
afterAll(async () => {
  await Promise.all([db?.destroy(), reader?.destroy()]);
  await group?.stop();
});

const port = sql<{ port: number }>`SELECT @@port AS port`;

it('writes on the primary, reads and streams on a secondary', async () => {
  const { primary, secondaries } = await group.ports();
  const result = await db
    .insertInto('notes')
    .values([{ token: 'a' }, { token: 'b' }])
    .executeTakeFirst();
  expect([result.insertId, result.numInsertedOrUpdatedRows]).toEqual([1n, 2n]);
  await group.replicated();
  expect(await reader.selectFrom('notes').select('token').orderBy('id').execute()).toEqual([
    { token: 'a' },
    { token: 'b' },
  ]);
  const streamed: string[] = [];
  for await (const { token } of reader.selectFrom('notes').selectAll().orderBy('id').stream()) streamed.push(token);
  expect(streamed).toEqual(['a', 'b']);
  expect((await port.execute(db)).rows).toEqual([{ port: primary }]);
  expect(secondaries).toContain((await port.execute(reader)).rows[0]?.port);
});

it('gives the connection back when a stream is left early', async () => {
  await group.replicated();
  for (let turn = 0; turn < 12; turn += 1) {
    for await (const { token } of reader.selectFrom('notes').selectAll().orderBy('id').stream()) {
      expect(token).toBe('a');
      break;
    }
  }
});

it('rolls a transaction back, and nests with savepoints', async () => {
  await expect(
    db.transaction().execute(async transaction => {
      await transaction.insertInto('notes').values({ token: 'undone' }).execute();
      throw new Error('changed my mind');
    }),
  ).rejects.toThrow('changed my mind');
  const transaction = await db.startTransaction().setIsolationLevel('read committed').execute();
  const nested = await transaction.savepoint('s').execute();
  await nested.insertInto('notes').values({ token: 'undone' }).execute();
  const back = await nested.rollbackToSavepoint('s').execute();
  await back.insertInto('notes').values({ token: 'done' }).execute();
  await transaction.commit().execute();
  const rows = await db.selectFrom('notes').select('token').where('token', 'like', '%done').execute();
  expect(rows).toEqual([{ token: 'done' }]);
});

it('goes on when the primary is killed', async () => {
  await group.failover({
    facts: ['fabric'],
    insert: token => db.insertInto('notes').values({ token }).execute(),
    pair: (one, other) =>
      db.transaction().execute(async transaction => {
        await transaction.insertInto('notes').values({ token: one }).execute();
        await transaction.insertInto('notes').values({ token: other }).execute();
      }),
    count: async () => {
      const row = await reader.selectFrom('notes').select(db.fn.countAll<number>().as('count')).executeTakeFirst();
      return Number(row?.count);
    },
  });
});
