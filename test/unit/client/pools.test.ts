import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WaitingLine } from '../../../src/client/waiting-line.js';
import type { FabricPool, Server } from '../../../src/index.js';
import type { FabricConnection } from '../../../src/promise.js';
import { failureOf, ScriptedGroup, until } from '../../fakes/scripted-group.js';
import { aServer } from '../../fakes/scripted-node.js';

/** What the pools of the servers do, with servers that do what each test says. */

let group: ScriptedGroup;
beforeEach(async () => {
  group = await ScriptedGroup.start();
});
afterEach(() => group.stop());

const statsOf = (pool: FabricPool, port: number) => pool.stats().find(({ server }) => server.port === port);
const reports = () => group.node.calls.filter(({ method }) => method === 'threat.report_error');

/** Until a pool has the topology that the node has now. */
async function learn(pool: FabricPool): Promise<void> {
  const fetches = group.node.calls.length;
  await until('the topology is fetched twice', () => {
    pool.query('SELECT 1', () => {});
    return group.node.calls.length > fetches + 1;
  });
}

describe('a server without room for another connection (1040, 1203, 1226)', () => {
  const [FULL, OTHER] = [0, 1] as const;

  it.each([1040, 1203, 1226])('fails no read that another can serve: %d', async errno => {
    group.secondaries[FULL].refusal = errno;
    const pool = group.create({ mode: 'READONLY', connectionLimit: 2 });
    for (let n = 0; n < 20; n += 1) await pool.promise().query('SELECT 1');
    expect(group.secondaries[OTHER].statements).toHaveLength(20);
    expect(reports()).toEqual([]);
  });

  it('is used as far as it has admitted us: whoever finds no room waits for a connection that it has', async () => {
    const pool = group.create({ connectionLimit: 5 });
    const running = pool.promise().query('hang');
    await until('it runs', () => group.hanging === 1);
    group.primary.refusal = 1040;
    const waiting = Array.from({ length: 4 }, (_, n) => pool.promise().query(`INSERT ${n}`));
    // Asked more than once, the server said no each time.
    const refused = () => (statsOf(pool, group.primary.port)?.errors ?? 0) > 4;
    await until('they wait', () => refused() && statsOf(pool, group.primary.port)?.waiting === 4);
    group.release();
    await Promise.all([running, ...waiting]);
    expect(group.primary.statements).toHaveLength(5);
    expect(reports()).toEqual([]);
  });

  it('fails what no other can serve, with its own error, and serves again when there is room', async () => {
    group.primary.refusal = 1040;
    const pool = group.create();
    expect(await failureOf(pool.promise().query('INSERT 1'))).toMatchObject({ errno: 1040 });
    group.primary.refusal = 0;
    await pool.promise().query('INSERT 2');
    expect(group.primary.statements).toEqual(['INSERT 2']);
  });

  it('a wrong password is told at once, and nobody is asked again or blamed', async () => {
    for (const mysql of group.all) mysql.refusal = 1045;
    const pool = group.create({ mode: 'READONLY' });
    expect(await failureOf(pool.promise().query('SELECT 1'))).toMatchObject({ errno: 1045 });
    expect(group.all.reduce((sum, { connections }) => sum + connections, 0)).toBe(1);
    expect(reports()).toEqual([]);
  });
});

describe('maxLifetime', () => {
  it('ends connections when they are idle or given back, never under a statement, and not all at once', async () => {
    const pool = group.create({ connectionLimit: 4, maxLifetime: 1_500, acquireTimeout: 20_000 });
    const long = pool.promise().query('hang');
    await Promise.all([1, 2, 3].map(n => pool.promise().query(`SELECT ${n}`)));
    await until('the idle ones have ended', () => group.primary.sockets.size === 1);
    expect(statsOf(pool, group.primary.port)).toMatchObject({ size: 1, busy: 1, errors: 0 });
    group.release();
    await long;
    await until('so has the one that was busy', () => group.primary.sockets.size === 0);
    const { connections } = group.primary;
    await pool.promise().query('SELECT 5');
    expect(group.primary.connections).toBe(connections + 1);
  });
});

describe('minConnections', () => {
  it('are opened to every server that serves, before the first statement, and to a new one', async () => {
    const [one, two] = group.secondaries;
    group.lead(group.primary, [group.primary, one]);
    const pool = group.create({ minConnections: 2 });
    await until('they are warm', () => [group.primary, one].every(({ sockets }) => sockets.size === 2));
    expect(two.connections).toBe(0);
    group.lead(group.primary);
    await learn(pool);
    await until('the new one is warm', () => two.sockets.size === 2);
  });

  it('are there when a secondary becomes the primary: its first write waits for no connection', async () => {
    const [next] = group.secondaries;
    const pool = group.create({ minConnections: 2 });
    await until('it is warm', () => next.sockets.size === 2);
    next.admission = new Promise(() => {}); // a new connection would wait for ever
    group.lead(next, [group.primary, next]);
    while (next.statements.length === 0) await pool.promise().query('INSERT 1');
    expect(next.connections).toBe(2);
  });

  it('may be all that there may be: who comes while they are made waits for them', async () => {
    const pool = group.create({ minConnections: 2, connectionLimit: 2, acquireTimeout: 3_000 });
    await Promise.all([1, 2, 3, 4].map(n => pool.promise().query(`SELECT ${n}`)));
    for (const socket of group.primary.sockets) socket.destroy();
    await until('the loss is seen', () => (statsOf(pool, group.primary.port)?.errors ?? 0) > 0);
    await Promise.all([5, 6, 7, 8].map(n => pool.promise().query(`SELECT ${n}`)));
    expect(group.primary.statements).toHaveLength(8);
  });

  it('come back when they were lost', async () => {
    group.create({ minConnections: 2 });
    await until('they are warm', () => group.primary.sockets.size === 2);
    for (const socket of group.primary.sockets) socket.destroy();
    await until('they are warm again', () => group.primary.connections === 4 && group.primary.sockets.size === 2);
  });
});

describe('a server that is the primary no more', () => {
  it('loses its idle connections at once, and those in use when they are given back', async () => {
    const [next] = group.secondaries;
    const pool = group.create({ connectionLimit: 3 });
    const running = pool.promise().query('hang');
    await Promise.all([1, 2].map(n => pool.promise().query(`SELECT ${n}`)));
    expect(group.primary.sockets.size).toBe(3);
    group.lead(next);
    await learn(pool);
    await until('the idle ones have ended', () => group.primary.sockets.size === 1);
    group.release();
    await running; // it was not cut
    await until('so has the other', () => group.primary.sockets.size === 0);
  });
});

describe('a server that serves nothing any more', () => {
  it('keeps what runs on it, and a transaction, until they end', async () => {
    const [next, other] = group.secondaries;
    const pool = group.create();
    group.primary.script = (sql, answer) => answer.ok(sql === 'COMMIT' ? 2 : 3); // in a transaction until then
    const connection = await pool.promise().getConnection();
    await connection.beginTransaction();
    group.lead(next, [next, other]);
    group.node.servers = [...group.node.servers, aServer(group.primary.port, { status: 1, mode: 0 })];
    await learn(pool);
    await until('it has no pool', () => statsOf(pool, group.primary.port) === undefined);
    await connection.query('INSERT 1');
    await connection.commit();
    expect(group.primary.statements.filter(sql => sql !== 'SELECT 1').slice(-2)).toEqual(['INSERT 1', 'COMMIT']);
    connection.release();
    await until('it is gone', () => group.primary.sockets.size === 0);
  });

  it('that is FAULTY, or has left, hangs: what runs on it is cut', async () => {
    const [next] = group.secondaries;
    const pool = group.create();
    const running = failureOf(pool.promise().query('hang'));
    await until('it runs', () => group.hanging === 1);
    group.lead(next, [next]);
    await learn(pool);
    expect(await running).toMatchObject({ fabric: { outcome: 'in-doubt' } });
  });
});

describe('the connection of a statement that opens a transaction', () => {
  const IN_TRANSACTION = 3;
  const MORE = 8;
  const okWith = (status: number) => Buffer.from([0, 0, 0, status, 0, 0, 0]);

  it.each(['the last of several', 'before one that fails'])("is nobody else's: %s", async which => {
    const pool = group.create({ multipleStatements: true, connectionLimit: 1 });
    group.primary.script = (sql, answer) => {
      if (!sql.startsWith('BEGIN')) return answer.ok();
      answer.raw(1, okWith(IN_TRANSACTION | MORE));
      if (which.includes('fails')) answer.raw(2, Buffer.from('\xff\x28\x04#42000no', 'latin1'));
      else answer.raw(2, okWith(IN_TRANSACTION));
    };
    await failureOf(pool.promise().query('BEGIN; INSERT 1'));
    await pool.promise().query('INSERT 2');
    expect(group.primary.connections).toBe(2);
  });

  it('but for one that only looks as if there were several', async () => {
    const pool = group.create({ connectionLimit: 1 });
    group.primary.script = (_sql, answer) => answer.rows(['a;b']);
    for (let n = 0; n < 5; n += 1) for await (const _row of pool.query("SELECT 'a;b'").stream());
    expect(group.primary.connections).toBe(1);
  });

  it('of a procedure that fails, too: nobody knows what it began', async () => {
    const pool = group.create({ connectionLimit: 1 });
    group.primary.script = (sql, answer) => (sql === 'CALL p()' ? answer.error(1062, '23000', 'no') : answer.ok());
    await failureOf(pool.promise().query('CALL p()'));
    await pool.promise().query('INSERT 2');
    expect(group.primary.connections).toBe(2);
  });
});

describe('resetOnRelease', () => {
  const RESET = 0x1f;

  it('resets the session after each statement of the pool, as after a connection that is given back', async () => {
    const pool = group.create({ resetOnRelease: true });
    await pool.promise().query('SELECT 1');
    await pool.promise().query('SELECT 2');
    (await pool.promise().getConnection()).release();
    const resets = () => group.primary.commands.filter(command => command === RESET).length;
    await until('it was reset thrice', () => resets() === 3);
  });
});

describe('the end of a pool', () => {
  it('lets what was given to a held connection end, and nothing begin', async () => {
    const pool = group.create();
    const connection = await pool.promise().getConnection();
    const given = [connection.query('hang'), connection.query('INSERT 1')];
    await until('it runs', () => group.hanging === 1);
    const ended = pool.promise().end();
    expect(await failureOf(connection.query('INSERT 2'))).toMatchObject({ code: 'FABRIC_CLOSED' });
    group.release();
    await Promise.all([...given, ended]);
    expect(group.primary.statements).toEqual(['hang', 'INSERT 1']);
  });

  it.each<[string, (connection: FabricConnection) => Promise<unknown>[]]>([
    [
      'was called off',
      connection => {
        const abort = new AbortController();
        const given = [connection.query('hang'), failureOf(connection.query({ sql: 'b', signal: abort.signal }))];
        setTimeout(() => abort.abort(), 20);
        return given;
      },
    ],
    ['goes elsewhere', one => [one.query('hang'), failureOf(one.query({ sql: 'SELECT 1', mode: 'READONLY' }))]],
  ])('waits for nobody when the last that was given %s', async (_name, give) => {
    const pool = group.create();
    const connection = await pool.promise().getConnection();
    const given = give(connection);
    await until('it runs', () => group.hanging === 1);
    const began = performance.now();
    const ended = pool.promise().end();
    setTimeout(() => group.release(), 50);
    await Promise.all([...given, ended]);
    expect(performance.now() - began).toBeLessThan(5_000); // END_GRACE is 10 s
  });

  it('refuses the statements of its views at once, while its own still run', async () => {
    const pool = group.create({ connectionLimit: 1 });
    const view = pool.with({ mode: 'WRITEONLY' });
    const running = pool.promise().query('hang');
    await until('it runs', () => group.hanging === 1);
    const ended = pool.promise().end();
    expect(await failureOf(view.promise().query('SELECT 1'))).toMatchObject({ code: 'FABRIC_CLOSED' });
    group.release();
    await Promise.all([running, ended]);
  });

  it('cuts nothing when a connection with resetOnRelease is given back behind it', async () => {
    const pool = group.create({ resetOnRelease: true });
    const connection = await pool.promise().getConnection();
    const running = connection.query('hang');
    await until('it runs', () => group.hanging === 1);
    const ended = pool.promise().end();
    const released = new Promise(resolve => pool.once('release', resolve));
    connection.release();
    group.release();
    await Promise.all([running, ended, released]);
  });

  it('lets nothing begin that was waiting for the topology', async () => {
    const pool = group.create({ ttl: 60 });
    group.primary.script = (sql, answer) => (sql === 'cut' ? answer.cut() : answer.ok());
    await failureOf(pool.promise().query('cut'));
    const waiting = failureOf(pool.promise().query('INSERT 1'));
    await pool.promise().end();
    expect(await waiting).toMatchObject({ code: 'FABRIC_CLOSED', fabric: { outcome: 'not-executed' } });
    expect(pool.stats()).toEqual([]);
    await until('all is closed', () => group.primary.sockets.size === 0 && group.node.sockets.size === 0);
    expect(group.primary.statements).toEqual(['cut']);
  });
});

describe('slowStart', () => {
  it('lets a server that comes new to the group serve little at first, and all that is due to it in the end', async () => {
    const [old, fresh] = group.secondaries;
    group.lead(group.primary, [group.primary, old]);
    const pool = group.create({ mode: 'READONLY', slowStart: 1_500, ttl: 0.02 });
    await pool.promise().query('SELECT 1');
    group.lead(group.primary);
    const share = async (): Promise<number> => {
      const before = fresh.statements.length;
      for (let n = 0; n < 100; n += 1) await pool.promise().query('SELECT 1');
      return fresh.statements.length - before;
    };
    const began = performance.now();
    await until('it is known', () => {
      pool.query('SELECT 1', () => {});
      return fresh.statements.length > 0;
    });
    const first = await share();
    const took = performance.now() - began;
    if (took < 500) expect(first).toBeLessThan(30);
    await new Promise(resolve => setTimeout(resolve, Math.max(0, 1_600 - took)));
    expect(await share()).toBeGreaterThanOrEqual(49);
  });

  it('does not hold for the servers that the first topology names', async () => {
    const pool = group.create({ mode: 'READONLY', slowStart: 60_000 });
    for (let n = 0; n < 40; n += 1) await pool.promise().query('SELECT 1');
    expect(group.secondaries.map(({ statements }) => statements.length)).toEqual([20, 20]);
  });

  it('does not hold where all begin', async () => {
    const pool = group.create({ mode: 'READONLY', slowStart: 60_000 });
    group.lead(group.primary, [group.primary]);
    await pool.promise().query('SELECT 1');
    group.lead(group.primary);
    await until('it reads there', () => {
      pool.query('SELECT 1', () => {});
      return group.secondaries.some(({ statements }) => statements.length > 0);
    });
    for (const mysql of group.secondaries) mysql.statements.length = 0;
    for (let n = 0; n < 40; n += 1) await pool.promise().query('SELECT 1');
    for (const { statements } of group.secondaries) expect(statements.length).toBeGreaterThan(15);
  });

  it('does not hold for the only server', async () => {
    const [one, two] = group.secondaries;
    group.lead(group.primary, [group.primary, one]);
    const pool = group.create({ mode: 'READONLY', slowStart: 60_000, ttl: 0.02 });
    await pool.promise().query('SELECT 1');
    group.lead(group.primary, [group.primary, two]);
    await until('the other serves', () => {
      pool.query('SELECT 1', () => {});
      return two.statements.length > 3;
    });
  });
});

describe('with', () => {
  it('gives a pool with other properties on the same connections', async () => {
    const pool = group.create({ connectionLimit: 1 });
    const readers = pool.with({ mode: 'READONLY' });
    const writers = readers.with({ mode: 'READWRITE' });
    expect([pool, readers, writers].map(({ properties }) => properties.mode)).toEqual([3, 1, 3]);
    await Promise.all([readers.promise().query('SELECT 1'), pool.promise().query('INSERT 1')]);
    await writers.promise().query('INSERT 2');
    expect(group.primary).toMatchObject({ statements: ['INSERT 1', 'INSERT 2'], connections: 1 });
    expect(readers.stats()).toEqual(pool.stats());
    const connection = await readers.promise().getConnection();
    expect(connection.server?.status).toBe(2);
    connection.release();
  });

  it('ends by itself alone, and with the pool', async () => {
    const pool = group.create();
    const [ended, other] = [pool.with({ mode: 'READONLY' }), pool.promise().with({ mode: 'READONLY' })];
    await ended.promise().end();
    expect(await failureOf(ended.promise().query('SELECT 1'))).toMatchObject({ code: 'FABRIC_CLOSED' });
    expect(await failureOf(ended.promise().getConnection())).toMatchObject({ code: 'FABRIC_CLOSED' });
    await pool.promise().query('SELECT 1');
    await other.query('SELECT 1');
    await pool.promise().end();
    expect(await failureOf(other.query('SELECT 1'))).toMatchObject({ code: 'FABRIC_CLOSED' });
  });

  it('tells of a wrong property', () => {
    expect(() => group.create().with({ mode: 'sometimes' as never })).toThrow(
      expect.objectContaining({ option: 'mode' }),
    );
  });
});

describe('stats', () => {
  it('tell per server of connections, waits, errors and picks', async () => {
    const pool = group.create({ connectionLimit: 1 });
    const first = pool.promise().query('hang');
    await until('it runs', () => group.hanging === 1);
    const second = pool.promise().query('SELECT 2');
    await new Promise(resolve => setTimeout(resolve, 30));
    const { port } = group.primary;
    expect(statsOf(pool, port)).toMatchObject({ size: 1, idle: 0, busy: 1, waiting: 1, picks: 1, errors: 0 });
    group.release();
    await Promise.all([first, second]);
    const stats = statsOf(pool, port);
    expect(stats).toMatchObject({ size: 1, idle: 1, busy: 0, waiting: 0, picks: 2, waits: { count: 1 } });
    expect(stats?.waits.last).toBeGreaterThan(25);
    expect(stats?.waits.mean).toBe(stats?.waits.max);
    for (const socket of group.primary.sockets) socket.destroy();
    await until('the loss is told', () => statsOf(pool, port)?.errors === 1);
  });
});

describe('balancer', () => {
  it('a function chooses, and is told of what is in flight and how long statements take', async () => {
    const [, chosen] = group.secondaries;
    const heard: { inFlight: number; latency: number }[] = [];
    const pool = group.create({
      mode: 'READONLY',
      balancer: (candidates, load) => {
        const server = candidates.find(({ port }) => port === chosen.port) as Server;
        heard.push({ inFlight: load.inFlight(server), latency: load.latency(server) });
        return server;
      },
    });
    await pool.promise().query('SELECT 1');
    const hanging = pool.promise().query('hang');
    await until('it runs', () => group.hanging === 1);
    await pool.promise().query('SELECT 1');
    group.release();
    await hanging;
    expect(chosen.statements).toHaveLength(3);
    expect(heard[0]).toEqual({ inFlight: 0, latency: 0 });
    expect(heard.at(-1)).toMatchObject({ inFlight: 1 });
    expect(heard.at(-1)?.latency).toBeGreaterThan(0);
  });

  it.each([
    ['throws', () => JSON.parse('{')],
    ['returns no candidate', () => aServer(1)],
  ])('a function that %s fails the statement, not the process', async (_name, balancer) => {
    const pool = group.create({ mode: 'READONLY', balancer, failoverTimeout: 100 });
    const error = await failureOf(pool.promise().query('SELECT 1'));
    expect(error).toSatisfy(each => each instanceof SyntaxError || each instanceof TypeError);
    await pool.promise().query({ sql: 'INSERT 1', mode: 'READWRITE' });
  });
});

describe('while the group has no primary', () => {
  it('all who wait for one ask the node together, and go on when there is one', async () => {
    const { node, primary } = group;
    const pool = group.create({ connectionLimit: 50 });
    group.lead(primary);
    node.servers = node.servers.slice(1);
    const began = performance.now();
    const waiting: Promise<unknown>[] = [];
    await until('many wait, for some time', () => {
      if (waiting.length < 50) waiting.push(pool.promise().query(`INSERT ${waiting.length}`));
      return waiting.length === 50 && performance.now() - began > 400;
    });
    const looks = node.calls.length;
    expect(looks).toBeGreaterThan(5);
    expect(looks).toBeLessThan((performance.now() - began) / 10 + 5);
    group.lead(primary);
    await Promise.all(waiting);
    expect(primary.statements).toHaveLength(50);
  });
});

describe('a server that says nothing', () => {
  it('fails no read that another can serve in time', async () => {
    const door = createServer(() => {});
    await new Promise<void>(resolve => door.listen(0, '127.0.0.1', resolve));
    const { port } = door.address() as { port: number };
    group.node.servers = [...group.node.servers, aServer(port, { status: 2, mode: 1, weight: 100 })];
    const pool = group.create({ mode: 'READONLY', connectTimeout: 300, acquireTimeout: 5_000 });
    await Promise.all([1, 2, 3, 4].map(n => pool.promise().query(`SELECT ${n}`)));
    await until('it is told', () => reports().length === 1);
    expect(pool.stats().find(({ server }) => server.port === port)).toMatchObject({ size: 0, picks: 0 });
    await pool.promise().end();
    await new Promise(resolve => door.close(resolve));
  });
});

describe('acquireTimeout', () => {
  it('counts once, also for who has to begin again in another line', () => {
    const served: string[] = [];
    const line = new WaitingLine<number>(10_000, () => new Error('too late'));
    const waiter = (name: string, waitUntil = 0) => ({
      waitUntil,
      signal: undefined,
      resolve: () => served.push(name),
      reject: (error: unknown) => served.push(`${name}: ${(error as Error).message}`),
    });
    const [late, early] = [waiter('late'), waiter('early', performance.now() + 5_000)];
    line.join(late);
    line.join(early);
    line.next()?.resolve(1);
    expect(served).toEqual(['early']);
    expect(early.waitUntil).toBeLessThan(late.waitUntil);
    line.close(new Error('closed'));
    expect(served).toEqual(['early', 'late: closed']);
  });

  it('ends a wait that began elsewhere when its own time is over', async () => {
    const line = new WaitingLine<number>(60_000, () => new Error('too late'));
    const patient = line.wait({ waitUntil: 0, signal: undefined }).catch(() => {});
    await expect(line.wait({ waitUntil: performance.now() + 30, signal: undefined })).rejects.toThrow('too late');
    expect(line.length).toBe(1);
    line.close(new Error('closed'));
    await patient;
  });

  it('bounds the wait for a server that takes the connection and then says nothing', async () => {
    const door = createServer(() => {});
    await new Promise<void>(resolve => door.listen(0, '127.0.0.1', resolve));
    const { port } = door.address() as { port: number };
    group.node.servers = [aServer(port)];
    const pool = group.create({ acquireTimeout: 100, connectTimeout: 3_000 });
    const began = performance.now();
    expect(await failureOf(pool.promise().query('SELECT 1'))).toMatchObject({ code: 'FABRIC_TIMEOUT' });
    expect(performance.now() - began).toBeLessThan(2_000);
    await pool.promise().end();
    await new Promise(resolve => door.close(resolve));
  });
});
