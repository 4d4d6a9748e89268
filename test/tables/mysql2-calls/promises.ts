import type mysql from 'mysql2';
import type promises from 'mysql2/promise';
import { type Call, call, promised, promisedPool, settled } from './call.js';

/** The door with promises. */

export const promiseCalls: readonly Call[] = [
  call(
    'promises of a connection',
    'promises.createConnection PromiseConnection.beginTransaction PromiseConnection.commit PromiseConnection.rollback PromiseConnection.ping PromiseConnection.reset PromiseConnection.changeUser PromiseConnection.connect',
    promised(async (it, log) => {
      for (const name of ['beginTransaction', 'commit', 'beginTransaction', 'rollback', 'ping', 'reset'] as const)
        await settled(log, () => it[name]());
      await settled(log, () => it.changeUser({ database: 'information_schema' }));
      await settled(log, async () => typeof (await it.connect()));
    }),
  ),
  call(
    'a prepared statement with promises',
    'PromiseConnection.prepare PromiseConnection.unprepare',
    promised(async (it, log) => {
      const statement = await it.prepare('SELECT ? AS a');
      await settled(log, () => statement.execute([1]));
      log('unprepared', typeof it.unprepare('SELECT ? AS a'));
      await settled(log, () => statement.close());
      await settled(log, () => it.prepare('SELEKT'));
    }),
  ),
  call(
    'pause and resume with promises',
    'PromiseConnection.pause PromiseConnection.resume',
    promised(async (it, log) => {
      const order: string[] = [];
      const answer = it.query('SELECT 1 AS a').then(() => order.push('answered'));
      log('paused', it.pause());
      await new Promise(resolve => setTimeout(resolve, 50));
      order.push('waited');
      log('resumed', it.resume());
      await answer;
      log('order', order);
    }),
  ),
  call(
    'escaping with promises',
    'PromiseConnection.escape PromiseConnection.escapeId PromiseConnection.format',
    promised((it, log) => {
      log('escaped', it.escape("it's"), it.escapeId('a.b'), it.format('SELECT ?', [1]));
    }),
  ),
  call(
    'what a connection with promises has',
    'PromiseConnection.config PromiseConnection.threadId PromiseConnection.connection PromiseConnection.on',
    promised((it, log, { mysql, promises }) => {
      log('config', it.config.user, typeof it.threadId);
      log('class', it instanceof promises.Connection);
      log('class', (it as unknown as { connection: object }).connection instanceof mysql.Connection);
    }),
  ),
  call(
    'end with promises',
    'PromiseConnection.end PromiseConnection.[Symbol.asyncDispose] PromiseConnection.close PromiseConnection.destroy',
    async ({ promises, options }, log) => {
      const it = await promises.createConnection(options);
      await settled(log, () => it.end());
      const disposed = await promises.createConnection(options);
      await settled(log, () => disposed[Symbol.asyncDispose]());
      for (const name of ['destroy', 'close'] as const) {
        const destroyed = (await promises.createConnection(options)) as unknown as Record<typeof name, () => unknown>;
        log('returned', destroyed[name]());
      }
    },
  ),
  call(
    'createConnectionPromise, createPoolPromise',
    'module.createConnectionPromise module.createPoolPromise',
    async (doors, log) => {
      const { createConnectionPromise, createPoolPromise } = doors.mysql as unknown as {
        createConnectionPromise: typeof doors.promises.createConnection;
        createPoolPromise: typeof doors.promises.createPool;
      };
      const it = await createConnectionPromise(doors.options as mysql.ConnectionOptions);
      const pool = createPoolPromise(doors.options);
      for (const each of [it, pool]) await settled(log, () => each.query('SELECT 1 AS a'));
      await Promise.all([it.end(), pool.end()]);
    },
  ),
  call('the option Promise', 'PromiseConnection.Promise PromisePool.Promise', async ({ promises, options }, log) => {
    class Chosen<T> extends Promise<T> {}
    const connecting = promises.createConnection({ ...options, Promise: Chosen } as mysql.ConnectionOptions);
    const pool = promises.createPool({ ...options, Promise: Chosen });
    const it = await connecting;
    const asked = [it.query('SELECT 1'), pool.query('SELECT 1'), pool.getConnection(), connecting];
    log('chosen', ...asked.map(each => each instanceof Chosen));
    await Promise.all(asked);
    ((await asked[2]) as promises.PoolConnection).release();
    await Promise.all([it.end(), pool.end()]);
  }),
  call('a refused connection with promises', 'promises.createConnection', async ({ promises, options }, log) => {
    await settled(log, () => promises.createConnection({ ...options, password: 'wrong' }));
  }),
  call(
    'a pool with promises',
    'promises.createPool PromisePool.end PromisePool.escape PromisePool.escapeId PromisePool.format PromisePool.pool PromisePool.[Symbol.asyncDispose]',
    async ({ promises, mysql, options }, log) => {
      const it = promises.createPool(options);
      log('escaped', it.escape("it's"), it.escapeId('a.b'), it.format('SELECT ?', [1]));
      log('class', it.pool instanceof (mysql as unknown as { Pool: new () => object }).Pool);
      await settled(log, () => it.end());
      await settled(log, () => promises.createPool(options)[Symbol.asyncDispose]());
    },
  ),
  call(
    'a connection of a pool with promises',
    'PromisePoolConnection.query PromisePoolConnection.release PromisePoolConnection.destroy PromisePoolConnection.[Symbol.asyncDispose] PromiseConnection.release',
    promisedPool(async (it, log) => {
      const got = await it.getConnection();
      await settled(log, () => got.query('SELECT 1 AS a'));
      log('released', got.release());
      const disposed = await it.getConnection();
      await settled(log, () => disposed[Symbol.asyncDispose]());
      const destroyed = await it.getConnection();
      log('destroyed', destroyed.destroy());
    }),
  ),
];
