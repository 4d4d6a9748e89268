/** Kysely: one instance over a pool for writes, one over a pool whose statements go to the secondaries. */
import { type Generated, Kysely, MysqlDialect, sql } from 'kysely';
import { createPool, MODE_READONLY } from 'mysql2-fabric';
import { options } from './options.js';

interface Database {
  kysely_orders: { id: Generated<number>; customer: string };
}

const db = new Kysely<Database>({ dialect: new MysqlDialect({ pool: createPool(options) }) });
const reader = new Kysely<Database>({
  dialect: new MysqlDialect({ pool: createPool({ ...options, mode: MODE_READONLY }) }),
});

await db.schema
  .createTable('kysely_orders')
  .ifNotExists()
  .addColumn('id', 'integer', column => column.primaryKey().autoIncrement())
  .addColumn('customer', 'varchar(50)')
  .execute();

await db.transaction().execute(async transaction => {
  await transaction.insertInto('kysely_orders').values({ customer: 'Ada' }).execute();
  await transaction.insertInto('kysely_orders').values({ customer: 'Grace' }).execute();
});

// What was just written is read where it was written; a secondary may be a moment behind.
for await (const order of db.selectFrom('kysely_orders').selectAll().stream()) console.log('order', order);

const port = sql<{ port: number }>`SELECT @@port AS port`;
console.log(`written on port ${(await port.execute(db)).rows[0]?.port}`);
console.log(`read on port ${(await port.execute(reader)).rows[0]?.port}`);

await Promise.all([db.destroy(), reader.destroy()]); // ends the pools too
