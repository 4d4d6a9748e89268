import type mysql from 'mysql2';
import { type Call, call, called, differing, end, events, heard, lent, noReturn, pool, settled } from './call.js';

/** Pools and their connections. */

/** One connection, which two want. */
const busyPool = (tell: readonly string[]): Call['run'] =>
  pool(
    async (it, log) => {
      for (const event of tell) it.on(event, () => log(event));
      const get = (): Promise<mysql.PoolConnection> =>
        new Promise((resolve, reject) => it.getConnection((error, lent) => (error ? reject(error) : resolve(lent))));
      const first = await get();
      const second = get();
      await new Promise(resolve => setTimeout(resolve, 20));
      first.release();
      (await second).release();
    },
    { connectionLimit: 1 },
  );

export const poolCalls: readonly Call[] = [
  call('getConnection', 'module.createPool Pool.getConnection Pool.releaseConnection', async (doors, log) => {
    await pool(async (it, log) => {
      for (const event of ['connection', 'acquire', 'release']) it.on(event, () => log(event));
      const got = await new Promise<mysql.PoolConnection>(resolve => it.getConnection((_, lent) => resolve(lent)));
      await called(log, callback => got.query('SELECT 1 AS a', callback));
      it.releaseConnection(got);
    })(doors, log);
  }),
  call('enqueue', 'Pool.getConnection PoolConnection.release Pool.on', busyPool(['connection', 'enqueue'])),
  differing('acquire after a wait', call('acquire after a wait', 'Pool.getConnection', busyPool(['acquire']))),
  call(
    'getConnection: refused',
    'Pool.getConnection',
    pool((it, log) => called(noReturn(log), callback => it.getConnection(callback)), { password: 'wrong' }),
  ),
  call(
    'a connection of a pool',
    'PoolConnection.query PoolConnection.release PoolConnection.promise PoolConnection.[Symbol.dispose]',
    lent(async (it, log, { mysql, promises }) => {
      log('class', it instanceof mysql.PoolConnection, it instanceof mysql.Connection);
      log('promised', it.promise() instanceof promises.PoolConnection);
      await called(log, callback => it.query('SELECT 1 AS a', callback));
      await settled(log, () => it.promise().query('SELECT 2 AS a'));
      log('release', it.release(), it.release(), it[Symbol.dispose]());
    }),
  ),
  call(
    'end of a connection of a pool',
    'PoolConnection.end',
    lent(async (it, log) => {
      it.on('warn', (error: Error) => log('warn', error.message));
      await called(log, callback => it.end(callback));
    }),
  ),
  call(
    'destroy of a connection of a pool',
    'PoolConnection.destroy',
    lent((it, log) => log('destroy', it.destroy())),
  ),
  differing(
    'errors of what was ended',
    call('a query after the end of a pool', 'Pool.end', async ({ mysql, options }, log) => {
      const it = mysql.createPool(options);
      await end(it);
      await called(log, callback => it.query('SELECT 1', callback));
    }),
  ),
  differing(
    'errors of a pool that is busy',
    call(
      'waitForConnections: false',
      'Pool.getConnection',
      lent(
        async (_, log, { mysql, options }) => {
          const full = mysql.createPool({ ...options, connectionLimit: 1, waitForConnections: false });
          const only = await new Promise<mysql.PoolConnection>(resolve => full.getConnection((_, got) => resolve(got)));
          await called(noReturn(log), callback => full.getConnection(callback));
          only.release();
          await end(full);
        },
        { connectionLimit: 1 },
      ),
    ),
  ),
  differing(
    'acquire and release of pool.query',
    call(
      'pool.query: acquire and release',
      'Pool.on',
      pool(async (it, log) => {
        const released = new Promise(resolve => it.once('release', resolve));
        for (const event of ['acquire', 'release']) it.on(event, () => log(event));
        await called(log, callback => it.query('SELECT 1 AS a', callback));
        await Promise.race([released, new Promise(resolve => setTimeout(resolve, 100))]);
      }),
    ),
  ),
  call(
    'the class of what `connection` tells',
    'Pool.on',
    pool(async (it, log, { mysql }) => {
      const made = heard(it, 'connection');
      await called(log, callback => it.query('SELECT 1 AS a', callback));
      log('class', (await made)[0] instanceof mysql.PoolConnection);
    }),
  ),
  call(
    'what `connection` sets is set before the first statement',
    'Pool.on',
    pool(async (it, log) => {
      it.on('connection', (made: mysql.Connection) => made.query('SET @told = 1'));
      await called(log, callback => it.query('SELECT @told AS told', callback));
    }),
  ),
  call(
    'pool.query: events',
    'Pool.query',
    pool((it, log) => events(log, it.query('SELECT 1 AS a UNION SELECT 2'))),
  ),
  call(
    'escaping with a pool',
    'Pool.escape Pool.escapeId Pool.format Pool.config',
    pool((it, log) => {
      log('escaped', it.escape("it's"), it.escapeId('a.b'), it.format('SELECT ?', [{ a: 1 }]));
      const { connectionConfig, ...config } = it.config as Record<string, unknown>;
      log('config', { ...config }, typeof connectionConfig);
    }),
  ),
  call(
    'promise of a pool',
    'Pool.promise PromisePool.getConnection PromisePool.releaseConnection PromisePool.on',
    pool(async (it, log, { promises }) => {
      const promise = it.promise();
      promise.on('acquire', () => log('acquire'));
      const got = await promise.getConnection();
      log('class', got instanceof promises.PoolConnection);
      await settled(log, () => got.query('SELECT 1 AS a'));
      log('released', promise.releaseConnection(got));
    }),
  ),
  call('dispose of a pool', 'Pool.[Symbol.dispose] Pool._closed Pool.end', async ({ mysql, options }, log) => {
    const it = mysql.createPool(options);
    it[Symbol.dispose]();
    log('closed', (it as unknown as { _closed: boolean })._closed);
    it[Symbol.dispose]();
  }),
];
