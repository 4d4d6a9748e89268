import { Readable } from 'node:stream';
import type mysql from 'mysql2';
import { type Call, call, called, connection, differing, events, heard, pool, promised, settled } from './call.js';

/** What `query` and `execute` return, and what goes with a statement. */

const TWO = 'SELECT 1 AS a UNION SELECT 2';

export const queryCalls: readonly Call[] = [
  ...(['query', 'execute'] as const).flatMap(verb => [
    call(
      `connection.${verb}: events`,
      `Connection.${verb} Query.on`,
      connection((it, log) => events(log, it[verb](TWO))),
    ),
    call(
      `connection.${verb}: events of wrong SQL`,
      `Connection.${verb}`,
      connection((it, log) => events(log, it[verb]('SELEKT'))),
    ),
    call(
      `connection.${verb}: events of a header`,
      `Connection.${verb}`,
      connection((it, log) => events(log, it[verb]('SET @a = 1'))),
    ),
    call(
      `connection.${verb}: a stream`,
      `Query.stream`,
      connection(async (it, log) => {
        const stream = it[verb](TWO).stream({ highWaterMark: 1 });
        for await (const row of stream) log('row', row);
      }),
    ),
    call(
      `connection.${verb}: a stream of wrong SQL`,
      `Query.stream`,
      connection(async (it, log) => {
        const [error] = await heard(it[verb]('SELEKT').stream(), 'error');
        log('error', error);
      }),
    ),
    call(
      `connection.${verb}: awaited`,
      `Query.then Query.catch`,
      connection(async (it, log) => {
        const query = it[verb]('SELECT 1', () => {});
        try {
          await query;
          log('nothing happens');
        } catch (error) {
          log('thrown', error);
        }
      }),
    ),
  ]),
  call(
    'connection.query: its text has the values in it',
    'Connection.query Query.sql Query.values',
    connection(async (it, log) => {
      const query = it.query('SELECT ? AS a', ['x'], () => {});
      log('sql', query.sql, (query as unknown as { values: unknown }).values);
      await heard(query, 'end');
      log('sql', it.query('SELECT ? AS a', ['y']).sql);
      await called(log, callback => it.ping(callback));
    }),
  ),
  differing(
    'sql of a query that waits',
    call(
      'connection.query: its text while it waits',
      'Query.sql',
      connection(async (it, log) => {
        it.query('SELECT 1');
        log('sql', it.query('SELECT ? AS a', ['y']).sql);
        await called(log, callback => it.ping(callback));
      }),
    ),
  ),
  differing(
    'named values that are missing',
    call(
      'connection.execute: a named value is missing',
      'Connection.execute',
      connection((it, log) =>
        called(log, callback => it.execute({ sql: 'SELECT :a', namedPlaceholders: true }, { b: 1 }, callback)),
      ),
    ),
  ),
  differing(
    'what pool.execute returns',
    call(
      'pool.execute: what it returns',
      'Pool.execute',
      pool((it, log) => called(log, callback => it.execute('SELECT 1 AS a', callback))),
    ),
  ),
  call(
    'connection.query: events beside a callback',
    'Connection.query Query.setMaxListeners',
    connection(async (it, log) => {
      const query = it.query('SELECT 1 AS a', () => log('callback'));
      query.setMaxListeners(100);
      await heard(query, 'end');
    }),
  ),
  call(
    'createQuery',
    'module.createQuery Connection.createQuery',
    connection(async (it, log, { mysql }) => {
      const { createQuery } = mysql as unknown as { createQuery(...args: unknown[]): mysql.Query };
      const query = createQuery('SELECT ? AS a', [7], undefined, it.config);
      const running = events(log, query);
      log('same', (it as unknown as { query(query: object): unknown }).query(query) === query);
      await running;
      const Class = it.constructor as unknown as { createQuery(...args: unknown[]): mysql.Query };
      log('static', Class.createQuery('SELECT 1', undefined, undefined, it.config).sql);
    }),
  ),
  call(
    'multipleStatements',
    'Connection.query',
    connection((it, log) => called(log, callback => it.query('SELECT 1 AS a; SET @a = 1; SELECT 2 AS b', callback)), {
      multipleStatements: true,
    }),
  ),
  call(
    'multipleStatements that are not allowed',
    'Connection.query',
    connection((it, log) => called(log, callback => it.query('SELECT 1; SELECT 2', callback))),
  ),
  call(
    'multipleStatements: events',
    'Connection.query',
    connection((it, log) => events(log, it.query('SELECT 1 AS a; SELECT 2 AS b')), { multipleStatements: true }),
  ),
  call(
    'infileStreamFactory',
    'Connection.query',
    connection(async (it, log) => {
      const infileStreamFactory = (path: string): Readable => Readable.from([Buffer.from(`901,${path}\n`)]);
      const sql = "LOAD DATA LOCAL INFILE 'a.csv' REPLACE INTO TABLE app.calls FIELDS TERMINATED BY ',' (id, text)";
      await called(log, callback => it.query({ sql, infileStreamFactory }, callback));
      await called(log, callback => it.query('SELECT text FROM app.calls WHERE id = 901', callback));
    }),
  ),
  call(
    'timeout',
    'Connection.query',
    connection(async (it, log) => {
      await called(log, callback => it.query({ sql: 'SELECT SLEEP(5)', timeout: 50 }, callback));
      it.destroy();
    }),
  ),
  call(
    'a callback for a promise',
    'PromiseConnection.query',
    promised((it, log) => settled(log, () => it.query('SELECT 1', (() => {}) as never))),
  ),
];
