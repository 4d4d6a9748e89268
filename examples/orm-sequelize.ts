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
const select = { type: QueryTypes.SELECT, plain: true } as const;
const counted = await sequelize.query('SELECT COUNT(*) AS orders FROM sequelize_orders', {
  ...select,
  useMaster: true,
});
console.log('orders', counted);

const written = await sequelize.query('SELECT @@port AS port', { ...select, useMaster: true });
const read = await sequelize.query('SELECT @@port AS port', select);
console.log(`written on port ${written?.port}`);
console.log(`read on port ${read?.port}`);

await sequelize.close();
