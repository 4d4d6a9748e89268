/** Drizzle with its own `withReplicas`: the one replica is a pool whose statements go to the secondaries, whichever these are. */
import { sql } from 'drizzle-orm';
import { int, mysqlTable, varchar, withReplicas } from 'drizzle-orm/mysql-core';
import { drizzle } from 'drizzle-orm/mysql2';
import { createPool, MODE_READONLY } from 'mysql2-fabric/promise';
import { options } from './options.js';

const orders = mysqlTable('drizzle_orders', {
  id: int().primaryKey().autoincrement(),
  customer: varchar({ length: 50 }).notNull(),
});

const writers = createPool(options);
const readers = createPool({ ...options, mode: MODE_READONLY });
const reader = drizzle({ client: readers });
const db = withReplicas(drizzle({ client: writers }), [reader]);

await db.execute(
  sql`CREATE TABLE IF NOT EXISTS ${orders} (id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(50) NOT NULL)`,
);

await db.transaction(async transaction => {
  await transaction.insert(orders).values({ customer: 'Ada' });
  await transaction.insert(orders).values({ customer: 'Grace' });
});

// `db.select` would ask a secondary, which may be a moment behind; `$primary` has what was just written.
for (const order of await db.$primary.select().from(orders)) console.log('order', order);

const port = sql`SELECT @@port AS port`;
const portOf = ([rows]: unknown[]) => (rows as { port: number }[])[0]?.port;
console.log(`written on port ${portOf(await db.execute(port))}`);
console.log(`read on port ${portOf(await reader.execute(port))}`);

await Promise.all([writers.end(), readers.end()]);
