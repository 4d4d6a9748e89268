import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPool, type ErrorFacts, type FabricPool, type FabricPoolOptions } from '../../../src/index.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from '../../fakes/scripted-node.js';

/** The session's loop against servers and a node that do what each test says. */

type Failure = Error & { code?: string; errno?: number; fabric?: ErrorFacts };

let node: ScriptedNode;
let primary: ScriptedMysql;
let secondary: ScriptedMysql;
let pools: FabricPool[] = [];

beforeEach(async () => {
  [node, primary, secondary] = await Promise.all([startScriptedNode(), startScriptedMysql(), startScriptedMysql()]);
  node.servers = [aServer(primary.port), aServer(secondary.port, { status: 2, mode: 1 })];
});
afterEach(async () => {
  await Promise.all(pools.map(pool => pool.promise().end()));
  pools = [];
  await Promise.all([node.close(), primary.close(), secondary.close()]);
});

function create(options: Partial<FabricPoolOptions> = {}): FabricPool {
  const pool = createPool({ fabric: { host: '127.0.0.1', port: node.port }, user: 'u', group: 'g', ...options });
  pools.push(pool);
  return pool;
}

const failureOf = (work: Promise<unknown>): Promise<Failure> =>
  work.then(
    () => new Error('it succeeded'),
    (error: Failure) => error,
  );
const reports = () => node.calls.filter(({ method }) => method === 'threat.report_error');
const soon = (ms = 50) => new Promise(resolve => setTimeout(resolve, ms));

describe('a statement whose answer is lost', () => {
  it('is in doubt and never sent again, when it may write', async () => {
    primary.script = (_sql, answer) => answer.cut();
    const error = await failureOf(create().promise().query('INSERT 1'));
    expect(error).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST', fabric: { outcome: 'in-doubt', mode: 3 } });
    expect(primary.statements).toEqual(['INSERT 1']);
  });

  it('is in doubt too when the answer cannot be read', async () => {
    primary.script = (_sql, answer) => answer.raw(1, Buffer.from([0xff])); // an error without a number
    const error = await failureOf(create().promise().query({ sql: 'INSERT 1', timeout: 2_000 }));
    expect(error.fabric?.outcome).toBe('in-doubt');
    await soon();
    expect(primary.statements).toEqual(['INSERT 1']);
  });

  /** Where mysql2 drops the command without calling back. */
  it.each([
    ['a query', (pool: FabricPool) => pool.promise().query('INSERT 1')],
    [
      'events',
      (pool: FabricPool) =>
        new Promise((resolve, reject) => pool.query('INSERT 1').on('error', reject).on('end', resolve)),
    ],
    ['a connection', async (pool: FabricPool) => (await pool.promise().getConnection()).query('INSERT 1')],
  ])('is in doubt at once when a packet is out of its place: %s', async (_name, run) => {
    primary.script = (sql, answer) => {
      if (sql === 'INSERT 1')
        answer.rows(['x'], true, 'a', Buffer.from([1, 120])); // a row where EOF belongs
      else answer.rows(['fine']);
    };
    const pool = create({ connectionLimit: 1 });
    const error = await failureOf(run(pool));
    expect(error).toMatchObject({ code: 'PROTOCOL_ERROR', fabric: { outcome: 'in-doubt' } });
    expect((await pool.promise().query('SELECT 1'))[0]).toEqual([{ a: 'fine' }]);
    expect(primary.connections).toBe(2);
  });

  it('is answered when the application fails to read it; the rest of the answer disturbs nobody', async () => {
    primary.script = (sql, answer) => {
      if (sql === 'INSERT 1') answer.rows(['x', 'y', 'z']);
      else answer.rows(['fine']);
    };
    const pool = create({ connectionLimit: 1 });
    const typeCast = (): never => {
      throw new Error('the applications own');
    };
    const error = await failureOf(pool.promise().query({ sql: 'INSERT 1', typeCast }));
    expect(error).toMatchObject({ message: 'the applications own', fabric: { outcome: 'answered' } });
    expect((await pool.promise().query('SELECT 1'))[0]).toEqual([{ a: 'fine' }]);
    expect(primary.statements).toEqual(['INSERT 1', 'SELECT 1']);
    expect(primary.connections).toBe(2);
    expect(reports()).toEqual([]);
  });

  it('is sent again when it only reads, and nothing was handed out', async () => {
    secondary.script = (_sql, answer) => {
      if (secondary.statements.length === 1) answer.cut();
      else answer.rows(['x']);
    };
    const [rows] = await create({ mode: 'READONLY' }).promise().query('SELECT 1');
    expect(rows).toEqual([{ a: 'x' }]);
    expect(secondary.statements).toEqual(['SELECT 1', 'SELECT 1']);
  });

  it.each(['SELECT 1; DELETE FROM t', 'SELECT a FROM t FOR UPDATE', 'UPDATE t SET a = 1'])(
    'is not, when it may do more than read: %s',
    async sql => {
      secondary.script = (_sql, answer) => answer.cut();
      const error = await failureOf(create({ mode: 'READONLY' }).promise().query(sql));
      expect(error.fabric?.outcome).toBe('in-doubt');
      expect(secondary.statements).toHaveLength(1);
    },
  );

  it('is not, when rows went out as events: one error, then the end', async () => {
    secondary.script = (_sql, answer) => {
      answer.rows(['x', 'y'], false);
      setTimeout(() => answer.cut(), 30);
    };
    const heard: string[] = [];
    const query = create({ mode: 'READONLY' }).query('SELECT 1');
    query.on('result', row => heard.push(JSON.stringify(row)));
    query.on('error', (error: Failure) => heard.push(`${error.fabric?.outcome}`));
    await new Promise<void>(resolve => query.on('end', () => resolve()));
    await soon();
    expect(heard).toEqual(['{"a":"x"}', '{"a":"y"}', 'in-doubt']);
    expect(secondary.statements).toHaveLength(1);
  });
});

describe('a statement that the server refuses whole', () => {
  it('is sent again to the server that the topology names then', async () => {
    primary.script = (sql, answer) => {
      if (sql.includes('read_only')) answer.rows(['1'], true, 'readOnly');
      else answer.error(1290, 'HY000', 'read-only');
      node.servers = [aServer(secondary.port)];
    };
    await create({ ttl: 60 }).promise().query('INSERT 1');
    expect(secondary.statements).toEqual(['INSERT 1']);
    expect(reports()).toEqual([]); // a role that moved is no failure
  });

  it('fails with that error when no server takes it until failoverTimeout', async () => {
    primary.script = (sql, answer) => {
      if (sql.includes('read_only')) answer.rows(['1'], true, 'readOnly');
      else answer.error(1290, 'HY000', 'read-only');
    };
    const began = performance.now();
    const error = await failureOf(create({ failoverTimeout: 400 }).promise().query('INSERT 1'));
    expect(error).toMatchObject({ errno: 1290, fabric: { outcome: 'not-executed' } });
    expect(performance.now() - began).toBeGreaterThan(150);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('is none any more when the server takes writes again just as it is asked, however often it refused before', async () => {
    const answers = [1, 1, 0];
    let refusals = 0;
    primary.script = (sql, answer) => {
      if (sql.includes('read_only')) answer.rows([String(answers.shift())], true, 'readOnly');
      else if (++refusals <= 3) answer.error(1290, 'HY000', 'read-only');
      else answer.ok();
    };
    await create().promise().query('INSERT 1');
    expect(refusals).toBe(4);
  });

  it('is passed on at once when the server does take writes', async () => {
    primary.script = (sql, answer) => {
      if (sql.includes('read_only')) answer.rows(['0'], true, 'readOnly');
      else answer.error(1290, 'HY000', 'secure-file-priv');
    };
    const error = await failureOf(create().promise().query('SELECT 1 INTO OUTFILE "x"'));
    expect(error).toMatchObject({ errno: 1290, message: 'secure-file-priv', fabric: { outcome: 'answered' } });
    expect(primary.connections).toBe(1);
  });
});

describe('reports', () => {
  it('tell the node of a lost connection and of a refused one: which server, by whom, why', async () => {
    primary.script = (_sql, answer) => answer.cut();
    await failureOf(create().promise().query('INSERT 1'));
    await soon();
    expect(reports()).toHaveLength(1);
    expect(reports()[0]?.params[0]).toBe(`server-${primary.port}`);
    expect(reports()[0]?.params[1]).toMatch(/:\d+$/);
    expect(reports()[0]?.params[2]).toBe('PROTOCOL_CONNECTION_LOST');
    await secondary.close();
    const error = await failureOf(create({ mode: 'READONLY' }).promise().query('INSERT 1'));
    await soon();
    expect(error.message).toBeDefined();
    expect(reports().some(({ params }) => params[0] === `server-${secondary.port}`)).toBe(true);
    secondary = await startScriptedMysql();
  });

  it('are not sent when they are off', async () => {
    primary.script = (_sql, answer) => answer.cut();
    await failureOf(create({ reportErrors: false }).promise().query('INSERT 1'));
    await soon();
    expect(reports()).toEqual([]);
  });

  it('are not sent for SQL errors, timeouts, saturation, and connections that we cut', async () => {
    primary.script = (sql, answer) => {
      if (sql === 'hang') return;
      answer.error(sql === 'full' ? 1040 : 1064, '42000', 'no');
    };
    const pool = create({ connectionLimit: 2, acquireTimeout: 500 });
    await failureOf(pool.promise().query('nonsense'));
    await failureOf(pool.promise().query('full'));
    await failureOf(pool.promise().query({ sql: 'hang', timeout: 20 }));
    const hanging = await Promise.all([pool.promise().getConnection(), pool.promise().getConnection()]);
    expect(await failureOf(pool.promise().query('SELECT 1'))).toMatchObject({ code: 'FABRIC_TIMEOUT' });
    const lost = hanging.map(connection => failureOf(connection.query('hang')));
    for (const connection of hanging) connection.destroy();
    for (const error of await Promise.all(lost)) expect(error.fabric?.outcome).toBe('in-doubt');
    const running = failureOf(pool.promise().query('hang'));
    await soon();
    node.servers = [aServer(secondary.port)]; // the primary leaves the group
    expect((await running).fabric?.outcome).toBe('in-doubt');
    await soon();
    expect(reports()).toEqual([]);
  });

  it('are few, however many statements fail', async () => {
    primary.script = (_sql, answer) => answer.cut();
    const pool = create({ connectionLimit: 20 });
    const began = performance.now();
    await Promise.all(Array.from({ length: 20 }, () => failureOf(pool.promise().query('INSERT 1'))));
    await soon();
    expect(reports().length).toBeGreaterThan(0);
    expect(reports().length).toBeLessThanOrEqual(1 + (performance.now() - began) / 250); // one an interval
  });
});

describe('a dead server', () => {
  it('never keeps the event loop from turning, however many statements hit it', async () => {
    await primary.close();
    const pool = create({ failoverTimeout: 600, connectionLimit: 50 });
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 5);
    const began = performance.now();
    const errors = await Promise.all(Array.from({ length: 1_000 }, () => failureOf(pool.promise().query('INSERT 1'))));
    clearInterval(timer);
    const codes = new Set(errors.map(({ code }) => code));
    expect([...codes].filter(code => code !== 'ECONNREFUSED' && code !== 'FABRIC_NO_SERVER')).toEqual([]);
    expect(errors[0]?.fabric).toMatchObject({ outcome: 'not-executed', group: 'g' });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(ticks).toBeGreaterThan(2); // frozen, it would hardly count one
    primary = await startScriptedMysql();
  });

  it('is asked rarely: statements share the knowledge', async () => {
    const { port } = primary;
    await primary.close();
    let attempts = 0;
    const { createServer } = await import('node:net');
    const door = createServer(socket => {
      attempts += 1;
      socket.destroy();
    });
    await new Promise<void>(resolve => door.listen(port, '127.0.0.1', resolve));
    const pool = create({ failoverTimeout: 500, connectionLimit: 50 });
    await Promise.all(Array.from({ length: 500 }, () => failureOf(pool.promise().query('INSERT 1'))));
    await new Promise(resolve => door.close(resolve));
    expect(attempts).toBeLessThan(150);
    primary = await startScriptedMysql();
  });

  it('that comes back is used within the time that statements are held', async () => {
    const { port } = primary;
    await primary.close();
    const held = create().promise().query('INSERT 1');
    await soon(300);
    primary = await startScriptedMysql(port);
    await held;
    expect(primary.statements).toEqual(['INSERT 1']);
  });
});

describe('the end', () => {
  it('waits for what runs, closes all, and takes nothing more', async () => {
    primary.script = (_sql, answer) => setTimeout(() => answer.ok(), 100);
    const pool = create();
    await pool
      .promise()
      .getConnection()
      .then(connection => connection.release());
    const running = pool.promise().query('INSERT 1');
    await soon(20);
    const ended = pool.promise().end();
    await running;
    await ended;
    expect(await failureOf(pool.promise().query('SELECT 1'))).toMatchObject({ code: 'FABRIC_CLOSED' });
    await soon();
    expect(primary.sockets.size).toBe(0);
  });

  it('does not wait for a connection that nobody released', async () => {
    const pool = create();
    await pool.promise().getConnection();
    const began = performance.now();
    await pool.promise().end();
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('fails who still waits for a connection, or for a server', async () => {
    primary.script = (sql, answer) => setTimeout(() => answer.ok(), sql === 'slow' ? 200 : 0);
    const pool = create({ connectionLimit: 1 });
    await pool.promise().query('SELECT 1');
    const slow = pool.promise().query('slow');
    const waiting = failureOf(pool.promise().query('SELECT 1'));
    await soon(20);
    await pool.promise().end();
    await slow;
    expect(await waiting).toMatchObject({ code: 'FABRIC_CLOSED' });
  });

  it('of a connection that is not yet connected leaves nothing behind', async () => {
    const pool = create();
    await pool.promise().query('SELECT 1');
    const connection = await pool.promise().getConnection();
    for (const socket of primary.sockets) socket.destroy();
    await soon();
    const failed = failureOf(connection.query('INSERT 1')); // obtains a new connection
    connection.destroy();
    expect(await failed).toMatchObject({ code: 'FABRIC_CLOSED' });
    await soon();
    expect(pool.stats()[0]?.busy).toBe(0);
    expect(primary.statements).not.toContain('INSERT 1');
  });
});
