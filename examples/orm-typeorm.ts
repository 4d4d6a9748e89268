/** TypeORM: one data source for writes, one whose statements go to the secondaries. What is ours goes through `extra`. */
import mysql, { MODE_READONLY, type Properties } from 'mysql2-fabric';
import { DataSource, EntitySchema } from 'typeorm';
import { options } from './options.js';

interface Order {
  id: number;
  customer: string;
}

const Orders = new EntitySchema<Order>({
  name: 'typeorm_orders',
  columns: { id: { type: 'int', primary: true, generated: true }, customer: { type: 'varchar', length: 50 } },
});

const { user, password, database, ...routing } = options;
const dataSource = (properties: Properties = {}) =>
  new DataSource({
    type: 'mysql',
    driver: mysql,
    username: user,
    password,
    database,
    extra: { ...routing, ...properties },
    entities: [Orders],
  }).initialize();

const db = await dataSource();
const reader = await dataSource({ mode: MODE_READONLY });
await db.synchronize();

await db.transaction(async manager => {
  await manager.insert(Orders, { customer: 'Ada' });
  await manager.insert(Orders, { customer: 'Grace' });
});

// What was just written is read where it was written; a secondary may be a moment behind.
for (const order of await db.getRepository(Orders).find()) console.log('order', order);

const [written] = await db.query('SELECT @@port AS port');
const [read] = await reader.query('SELECT @@port AS port');
console.log(`written on port ${written.port}`);
console.log(`read on port ${read.port}`);

await Promise.all([db.destroy(), reader.destroy()]);
