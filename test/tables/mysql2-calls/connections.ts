import { EventEmitter } from 'node:events';
import type mysql from 'mysql2';
import { type Call, call, called, connection, differing, end, events, heard, noReturn, settled } from './call.js';

/** All else that a connection does. */

export const connectionCalls: readonly Call[] = [
  call(
    'connect',
    'module.createConnection Connection.connect Connection.on Connection.state Connection.threadId Connection.authorized',
    async ({ mysql, options }, log) => {
      const it = mysql.createConnection(options);
      log('authorized', it.authorized);
      await heard(it, 'connect');
      log('state', it.state, it.authorized, typeof it.threadId);
      await new Promise<void>(resolve =>
        it.connect((...args: unknown[]) => {
          log('connected', args[0] ?? null, args[1] === it);
          resolve();
        }),
      );
      await end(it);
    },
  ),
  call('connect: refused', 'Connection.connect', async ({ mysql, options }, log) => {
    const it = mysql.createConnection({ ...options, password: 'wrong' });
    it.on('error', () => {});
    await called(log, callback => it.connect(callback));
    it.destroy();
  }),
  call('connect: refused, as an event', 'Connection.on', async ({ mysql, options }, log) => {
    const it = mysql.createConnection({ ...options, password: 'wrong' });
    const [error] = await heard(it, 'error');
    log('error', error);
    it.destroy();
  }),
  call('end', 'Connection.end Connection._closing', async ({ mysql, options }, log) => {
    const it = mysql.createConnection(options);
    const ended = heard(it, 'end');
    await called(log, callback => it.query('SELECT 1 AS a', callback));
    log('returned', (it.end() as unknown) instanceof EventEmitter);
    await ended;
    log('closing', (it as unknown as { _closing: boolean })._closing);
  }),
  differing(
    'when the callback of end is called',
    call('end: its callback', 'Connection.end', async ({ mysql, options }, log) => {
      const it = mysql.createConnection(options);
      await called(log, callback => it.query('SELECT 1 AS a', callback));
      await called(log, callback => it.end(callback));
    }),
  ),
  differing(
    'errors of what was ended',
    call('a query after end', 'Connection.end', async ({ mysql, options }, log) => {
      const it = mysql.createConnection(options);
      await end(it);
      await called(log, callback => it.query('SELECT 1', callback));
    }),
  ),
  differing(
    'a connection that is lost while it has nothing to do',
    call('a query after a loss', 'Connection.query', async ({ mysql, options }, log) => {
      const it = mysql.createConnection(options);
      it.on('error', error => log('error', error));
      const id = await new Promise((resolve, reject) =>
        it.query<mysql.RowDataPacket[]>('SELECT CONNECTION_ID() AS id', (error, rows) =>
          error ? reject(error) : resolve(rows[0]?.id),
        ),
      );
      const other = mysql.createConnection(options);
      const closed = heard((it as unknown as { stream: EventEmitter }).stream, 'close');
      await new Promise(resolve => other.query(`KILL ${id}`, resolve));
      await closed;
      await end(other);
      await called(log, callback => it.query('SELECT 1 AS a', callback));
      it.destroy();
    }),
  ),
  call('end with options', 'Connection.end', async ({ mysql, options }, log) => {
    const it = mysql.createConnection(options);
    const ended = heard(it, 'end');
    it.end();
    await ended;
    log('ended');
  }),
  call('destroy', 'Connection.destroy Connection.close Connection.stream', async ({ mysql, options }, log) => {
    for (const name of ['destroy', 'close'] as const) {
      const it = mysql.createConnection(options) as unknown as EventEmitter &
        Record<'destroy' | 'close', () => unknown> & { stream: { destroyed: boolean } };
      await heard(it, 'connect');
      log('destroyed', it.stream.destroyed);
      const ended = heard(it, 'end');
      log('returned', it[name]());
      await ended;
    }
  }),
  call(
    'ping, reset',
    'Connection.ping Connection.reset',
    connection(async (it, log) => {
      await called(log, callback => it.ping(callback));
      await called(log, callback => it.reset(callback));
      await called(log, callback => it.query('SELECT @a AS a', callback));
    }),
  ),
  call(
    'changeUser',
    'Connection.changeUser',
    connection(async (it, log) => {
      const options = { database: 'information_schema' };
      const refused = await new Promise(resolve => it.on('error', () => {}).changeUser(options, resolve));
      log('refused', refused); // by MySQL 5.6, which gets no password from mysql2 here
      if (refused) it.destroy();
      else await called(log, callback => it.query('SELECT DATABASE() AS d', callback));
    }),
  ),
  call(
    'changeUser: refused',
    'Connection.changeUser',
    connection(async (it, log) => {
      it.on('error', () => {});
      await called(log, callback => it.changeUser({ user: 'nobody', password: 'x' }, callback));
      it.destroy();
    }),
  ),
  call(
    'transactions',
    'Connection.beginTransaction Connection.commit Connection.rollback',
    connection(async (it, log) => {
      await called(log, callback => it.beginTransaction(callback));
      await called(log, callback => it.query('UPDATE app.calls SET text = 1 WHERE id = 1', callback));
      await called(log, callback => it.rollback(callback));
      await called(log, callback => it.beginTransaction(callback));
      await called(log, callback => it.commit(callback));
    }),
  ),
  call(
    'prepare, unprepare',
    'Connection.prepare Connection.unprepare',
    connection(async (it, log) => {
      const statement = await new Promise<mysql.PrepareStatementInfo>((resolve, reject) => {
        const returned = it.prepare('SELECT ? AS a', (error, info) => (error ? reject(error) : resolve(info)));
        log('returned', returned instanceof EventEmitter);
      });
      await called(log, callback => statement.execute([1], callback));
      await called(log, callback => statement.execute([2], callback));
      await events(log, statement.execute([3]));
      log('unprepared', typeof it.unprepare('SELECT ? AS a'), typeof it.unprepare('SELECT 2'));
      await called(log, callback => it.ping(callback));
    }),
  ),
  differing(
    'a statement that was closed',
    call(
      'prepare, close, execute',
      'Connection.prepare',
      connection(async (it, log) => {
        const sql = 'SELECT ? AS a';
        const statement = await new Promise<mysql.PrepareStatementInfo>(resolve =>
          it.prepare(sql, (_, info) => resolve(info)),
        );
        statement.close();
        await called(log, callback => it.execute(sql, [1], callback));
      }),
    ),
  ),
  call(
    'prepare: wrong SQL',
    'Connection.prepare',
    connection((it, log) => called(noReturn(log), callback => it.prepare('SELEKT', callback))),
  ),
  call(
    'pause, resume',
    'Connection.pause Connection.resume',
    connection(async (it, log) => {
      let answered = false;
      const answer = heard(
        it.query('SELECT 1').on('result', () => {
          answered = true;
        }),
        'end',
      );
      it.pause();
      await new Promise(resolve => setTimeout(resolve, 50));
      log('answered', answered);
      it.resume();
      await answer;
      log('answered', answered);
    }),
  ),
  call(
    'escaping',
    'Connection.escape Connection.escapeId Connection.format Connection.raw',
    connection(
      (it, log) => {
        const raw = (it as unknown as { raw(sql: string): object }).raw('NOW()');
        log('escape', it.escape("it's"), it.escape(new Date(0)), it.escape({ a: 1 }), it.escape(raw));
        log('escapeId', it.escapeId('a.b'), it.escapeId(['a', 'b']));
        log('format', it.format('SELECT ?, ??, ?', [1, 'a', raw]));
      },
      { timezone: 'Z' },
    ),
  ),
  call(
    'queryFormat',
    'Connection.format',
    connection((it, log) => called(log, callback => it.query('SELECT x', [5], callback)), {
      queryFormat: (sql: string, values: number[]) => sql.replace('x', String(values[0])),
    } as mysql.ConnectionOptions),
  ),
  call(
    'promise',
    'Connection.promise',
    connection((it, log) => settled(log, () => it.promise().query('SELECT 1 AS a'))),
  ),
  call('dispose', 'Connection.[Symbol.dispose]', async ({ mysql, options }, log) => {
    const it = mysql.createConnection(options);
    await heard(it, 'connect');
    const ended = heard(it, 'end');
    it[Symbol.dispose]();
    await ended;
    log('ended');
  }),
  call(
    'fatalError',
    'Connection.fatalError Connection._fatalError Connection._protocolError Connection._handshakePacket Connection.stream',
    connection((it, log) => {
      const inside = it as unknown as Record<string, unknown> & { stream: { destroyed: boolean } };
      log('errors', inside.fatalError, inside._fatalError, inside._protocolError, inside.stream.destroyed);
      log('handshake', typeof inside._handshakePacket, it.config.user, it.config.database);
      log('numbers', typeof inside.serverCapabilityFlags, typeof it.sequenceId, inside.serverEncoding);
    }),
  ),
];
