/** Sequelize with its own replication feature: its read pool makes connections that go to the secondaries, whichever these are. */
import mysql, { MODE_READONLY } from 'mysql2-fabric';
import { DataTypes, QueryTypes, Sequelize } from 'sequelize';
import { options } from './options.js';

const { user: username, password, database, ...routing } = options;
const write = { username, password, database, dialectOptions: routing };
const read = { ...write, dialectOptions: { ...routing, mode: MODE_READONLY } };
const sequelize = new Sequelize({
  dialect: 'mysql',
  dialectModule: mysql,
  logging: false,
  replication: { write, read: [read] },
});

const Order = sequelize.define('order', { customer: DataTypes.STRING(50) }, { tableName: 'sequelize_orders' });
await Order.sync();

await sequelize.transaction(async transaction => {
  await Order.create({ customer: 'Ada' }, { transaction });
  await Order.create({ customer: 'Grace' }, { transaction });
});

// A query would ask a secondary, which may be a moment behind; the primary has what was just written.
const orders = await sequelize.query('SELECT * FROM sequelize_orders', { type: QueryTypes.SELECT, useMaster: true });
for (const order of orders) console.log('order', order);

async function port(useMaster: boolean): Promise<number | undefined> {
  const wanted = { type: QueryTypes.SELECT as const, plain: true as const, useMaster };
  const row = await sequelize.query<{ port: number }>('SELECT @@port AS port', wanted);
  return row?.port;
}
console.log(`written on port ${await port(true)}`);
console.log(`read on port ${await port(false)}`);

await sequelize.close();
