/** Compiled, never run: what ORMs and query builders ask of mysql2, they may ask of us. */
import { drizzle } from 'drizzle-orm/mysql2';
import knex from 'knex';
import { Kysely, MysqlDialect } from 'kysely';
import mysql, { createPool, MODE_READONLY } from 'mysql2-fabric';
import { createPool as createPromisePool } from 'mysql2-fabric/promise';
import { Sequelize } from 'sequelize';
import { DataSource } from 'typeorm';

const options = { fabric: 'fabric1:32274', user: 'app', password: 'app', database: 'app', group: 'shop' };
const pool = createPool(options);
const promisePool = createPromisePool(options);

interface Database {
  orders: { id: number; total: string };
}

const kysely = new Kysely<Database>({ dialect: new MysqlDialect({ pool }) });
const lazy = new Kysely<Database>({ dialect: new MysqlDialect({ pool: async () => createPool(options) }) });

const drizzles = [drizzle(pool), drizzle(promisePool), drizzle({ client: pool }), drizzle({ client: promisePool })];
const sameClient: typeof pool = drizzle({ client: pool }).$client;

const queries = knex({ client: 'mysql2', connectionPool: pool });
const read = queries('orders').select('id').options({ mode: MODE_READONLY });

const sequelize = new Sequelize({ dialect: 'mysql', dialectModule: mysql, dialectOptions: options });

const dataSource = new DataSource({ type: 'mysql', driver: mysql, extra: options, entities: [] });

export { dataSource, drizzles, kysely, lazy, read, sameClient, sequelize };
