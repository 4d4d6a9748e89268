import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FabricPool } from '../../../src/index.js';
import { failureOf, ScriptedGroup, until } from '../../fakes/scripted-group.js';

/** `signal` on query, execute and getConnection: at every place where something may wait. */

let group: ScriptedGroup;
beforeEach(async () => {
  group = await ScriptedGroup.start();
});
afterEach(() => group.stop());

const REASON = new Error('nobody waits for it any more');

/** A pool of one connection, on which something runs. */
async function busyPool(options = {}): Promise<{ pool: FabricPool; running: Promise<unknown> }> {
  const pool = group.create({ connectionLimit: 1, ...options });
  await pool.promise().query('SELECT 1');
  const running = pool.promise().query('hang');
  await until('it runs', () => group.hanging === 1);
  return { pool, running };
}

type Begin = (pool: FabricPool, signal: AbortSignal) => Promise<unknown>;
const BEGINNINGS: readonly [name: string, begin: Begin][] = [
  ['query', (pool, signal) => pool.promise().query({ sql: 'SELECT 2', signal })],
  ['execute', (pool, signal) => pool.promise().execute({ sql: 'SELECT 2', signal })],
  ['getConnection', (pool, signal) => pool.promise().getConnection({ signal })],
  [
    'getConnection with a callback',
    (pool, signal) =>
      new Promise((resolve, reject) => {
        pool.getConnection({ signal }, (error, connection) => (error ? reject(error) : resolve(connection)));
      }),
  ],
  [
    'events',
    (pool, signal) =>
      new Promise((resolve, reject) => {
        pool.query({ sql: 'SELECT 2', signal }).on('error', reject).on('end', resolve);
      }),
  ],
  ['a view', (pool, signal) => pool.with({ mode: 'WRITEONLY' }).promise().query({ sql: 'SELECT 2', signal })],
];

describe.each(BEGINNINGS)('%s', (_name, begin) => {
  it('that waits for a busy connection leaves the line at once, with the reason as it was given', async () => {
    const { pool, running } = await busyPool();
    const abort = new AbortController();
    const waiting = failureOf(begin(pool, abort.signal));
    await until('it waits', () => pool.stats()[0]?.waiting === 1);
    abort.abort(REASON);
    expect(await waiting).toBe(REASON);
    expect(REASON).not.toHaveProperty('fabric'); // it is the application's own
    expect(pool.stats()[0]).toMatchObject({ waiting: 0, busy: 1, size: 1 });
    group.release();
    await running;
    await pool.promise().query('SELECT 3');
    expect(group.primary.statements).toEqual(['SELECT 1', 'hang', 'SELECT 3']);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  it('is not begun when the signal was aborted before', async () => {
    const pool = group.create();
    expect(await failureOf(begin(pool, AbortSignal.abort(REASON)))).toBe(REASON);
    expect(group.primary.statements).toEqual([]);
  });

  it('that waits for a server is given up', async () => {
    group.node.servers = group.node.servers.filter(({ status }) => status !== 3);
    const pool = group.create({ failoverTimeout: 60_000 });
    const abort = new AbortController();
    const waiting = failureOf(begin(pool, abort.signal));
    await until('it is asked for', () => group.node.calls.length > 1);
    abort.abort(REASON);
    expect(await waiting).toBe(REASON);
  });

  it('that waits for a connection to be made is given up, and the connection serves others', async () => {
    const pool = group.create({ connectionLimit: 1 });
    let admit = (): void => {};
    group.primary.admission = new Promise<void>(resolve => {
      admit = resolve;
    });
    const abort = new AbortController();
    const waiting = failureOf(begin(pool, abort.signal));
    await until('it connects', () => group.primary.connections === 1);
    abort.abort(REASON);
    expect(await waiting).toBe(REASON);
    admit();
    await pool.promise().query('SELECT 3');
    expect(group.primary.connections).toBe(1);
    expect(group.primary.statements).toEqual(['SELECT 3']);
  });

  it('leaves nothing behind on the signal when it ends as usual', async () => {
    const pool = group.create({ connectionLimit: 1 });
    const { signal } = new AbortController();
    const given = await begin(pool, signal);
    (given as { release?: () => void } | undefined)?.release?.();
    const { running } = await busyPool();
    group.release();
    await running;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

it('called off as soon as it could be had, a connection goes back to the pool', async () => {
  const pool = group.create({ connectionLimit: 1 }).promise();
  for (let microtasks = 0; microtasks < 30; microtasks += 1) {
    const first = await pool.getConnection();
    const abort = new AbortController();
    const second = pool.getConnection({ signal: abort.signal }).then(
      lent => lent.release(),
      () => {},
    );
    first.release();
    for (let n = 0; n < microtasks; n += 1) await null;
    abort.abort(REASON);
    await second;
    await pool.query('SELECT 1');
  }
});

describe('a statement that runs', () => {
  it('is cut off, in doubt; its connection serves nobody else, and the server is not blamed', async () => {
    const pool = group.create({ connectionLimit: 1 });
    const abort = new AbortController();
    const running = failureOf(pool.promise().query({ sql: 'hang', signal: abort.signal }));
    await until('it runs', () => group.hanging === 1);
    abort.abort(REASON);
    expect(await running).toMatchObject({ code: 'FABRIC_ABORTED', cause: REASON, fabric: { outcome: 'in-doubt' } });
    await pool.promise().query('SELECT 1');
    expect(group.primary.connections).toBe(2);
    expect(pool.stats()[0]).toMatchObject({ busy: 0, size: 1, errors: 0 });
    expect(group.node.calls.filter(({ method }) => method === 'threat.report_error')).toEqual([]);
  });

  it('is not read again elsewhere, though it only reads', async () => {
    const pool = group.create({ mode: 'READONLY' });
    const abort = new AbortController();
    const running = failureOf(pool.promise().query({ sql: 'hang', signal: abort.signal }));
    await until('it runs', () => group.hanging === 1);
    abort.abort(REASON);
    expect(await running).toMatchObject({ code: 'FABRIC_ABORTED' });
    expect(group.hanging).toBe(1);
  });

  it('in a transaction takes the transaction with it', async () => {
    const connection = await group.create().promise().getConnection();
    group.primary.script = (sql, answer) => (sql.includes('hang') ? undefined : answer.ok(3)); // in a transaction
    await connection.beginTransaction();
    const abort = new AbortController();
    const running = failureOf(connection.query({ sql: 'UPDATE hang', signal: abort.signal }));
    await until('it runs', () => group.primary.statements.includes('UPDATE hang'));
    abort.abort(REASON);
    expect(await running).toMatchObject({ fabric: { outcome: 'rolled-back' } });
    expect(await failureOf(connection.query('INSERT 1'))).toMatchObject({ fabric: { outcome: 'rolled-back' } });
    expect(group.primary.statements).not.toContain('INSERT 1');
    connection.release();
  });
});

describe('a statement whose signal is aborted', () => {
  it.each([null, 'called off'])('with %j, which is no error, fails all the same', async reason => {
    const pool = group.create();
    const error = await failureOf(pool.promise().query({ sql: 'SELECT 1', signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ name: 'AbortError', message: expect.stringContaining(reason ?? '') });
    expect(group.primary.statements).toEqual([]);
  });

  it('before it is given to a connection that is busy fails, and those behind it go on', async () => {
    const connection = await group.create().promise().getConnection();
    const first = connection.query('hang');
    const aborted = failureOf(connection.query({ sql: 'SELECT 2', signal: AbortSignal.abort(REASON) }));
    const third = connection.query('SELECT 3');
    expect(await aborted).toBe(REASON);
    await until('it runs', () => group.hanging === 1);
    group.release();
    await Promise.all([first, third]);
    connection.release();
  });

  it('while the connection that it is to have is being made, is not executed', async () => {
    const pool = group.create({ connectionLimit: 1 });
    const running = failureOf(pool.promise().query('hang'));
    await until('it runs', () => group.hanging === 1);
    const abort = new AbortController();
    const queued = failureOf(pool.promise().query({ sql: 'INSERT 1', signal: abort.signal }));
    let admit = (): void => {};
    group.primary.admission = new Promise<void>(resolve => {
      admit = resolve;
    });
    for (const socket of group.primary.sockets) socket.destroy();
    await until('it connects', () => group.primary.connections === 2);
    abort.abort(REASON);
    expect(await queued).toBe(REASON);
    admit();
    await running;
    await pool.promise().query('INSERT 2');
    expect(group.primary.statements).toEqual(['hang', 'INSERT 2']);
  });

  it('while its session is being made again, is not executed', async () => {
    const [next] = group.secondaries;
    const connection = await group.create().promise().getConnection();
    await connection.query('SET sql_mode = 1');
    next.script = (sql, answer) => (sql.startsWith('SET') ? undefined : answer.ok());
    group.lead(next);
    const abort = new AbortController();
    const ended = (async () => {
      for (;;) await connection.query({ sql: 'INSERT 1', signal: abort.signal });
    })();
    await until('it is being made', () => next.statements.length === 1);
    abort.abort(REASON);
    await expect(ended).rejects.toBe(REASON);
    next.script = (_sql, answer) => answer.ok();
    await connection.query('INSERT 2');
    expect(next.statements).toEqual(['SET sql_mode = 1', 'SET sql_mode = 1', 'INSERT 2']);
    connection.release();
  }, 5_000);

  it('while the node is asked for the topology, is not executed', async () => {
    const pool = group.create({ ttl: 60 });
    const connection = await pool.promise().getConnection();
    await connection.query('SELECT 1');
    group.primary.script = (sql, answer) => (sql === 'cut' ? answer.cut() : answer.ok());
    let asked = false;
    group.node.script = () => {
      asked = true;
      return true; // and never answers
    };
    await failureOf(pool.promise().query('cut'));
    const abort = new AbortController();
    const waiting = failureOf(connection.query({ sql: 'INSERT 1', signal: abort.signal }));
    await until('the node is asked', () => asked);
    abort.abort(REASON);
    expect(await waiting).toBe(REASON);
    await connection.query('INSERT 2');
    expect(group.primary.statements).not.toContain('INSERT 1');
    connection.release();
  });
});

describe('a statement on a connection', () => {
  it('that waits for the one before it leaves its place, and those behind it go on', async () => {
    const connection = await group.create().promise().getConnection();
    const abort = new AbortController();
    const first = connection.query('hang');
    const second = failureOf(connection.query({ sql: 'SELECT 2', signal: abort.signal }));
    const third = connection.query('SELECT 3');
    await until('it runs', () => group.hanging === 1);
    abort.abort(REASON);
    expect(await second).toBe(REASON);
    group.release();
    await Promise.all([first, third]);
    expect(group.primary.statements).toEqual(['hang', 'SELECT 3']);
    connection.release();
  });
});

it.each([null, 5, 'soon', {}])('a signal that is %j is an error that names it', signal => {
  const pool = group.create();
  const wrong = expect.objectContaining({ code: 'FABRIC_BAD_PROPERTY', option: 'signal' });
  expect(() => pool.query({ sql: 'SELECT 1', signal: signal as never }, () => {})).toThrow(wrong);
  expect(() => pool.getConnection({ signal: signal as never }, () => {})).toThrow(wrong);
});
