/** Knex over a pool of ours. A single query goes to a secondary with `options({ mode })`, many with a pool of their own. */
import knex from 'knex';
import { createPool, MODE_READONLY } from 'mysql2-fabric';
import { options } from './options.js';

const writers = createPool(options);
const readers = createPool({ ...options, mode: MODE_READONLY });
const db = knex({ client: 'mysql2', connectionPool: writers });
const reader = knex({ client: 'mysql2', connectionPool: readers });

if (!(await db.schema.hasTable('knex_orders'))) {
  await db.schema.createTable('knex_orders', table => {
    table.increments('id');
    table.string('customer', 50);
  });
}

await db.transaction(async transaction => {
  await transaction('knex_orders').insert({ customer: 'Ada' });
  await transaction('knex_orders').insert({ customer: 'Grace' });
});

// What was just written is read where it was written; a secondary may be a moment behind.
for await (const order of db('knex_orders').stream()) console.log('order', order);

const port = db.raw('@@port AS port');
console.log(`written on port ${(await db.first(port)).port}`);
console.log(`read on port ${(await reader.first(port)).port}`);
console.log(`read on port ${(await db.first(port).options({ mode: MODE_READONLY })).port}`);

await Promise.all([db.destroy(), reader.destroy()]);
await Promise.all([writers.promise().end(), readers.promise().end()]); // Knex leaves a pool that it was given alone
