import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FabricPoolConnection } from '../../../src/index.js';
import { failureOf, ScriptedGroup, until } from '../../fakes/scripted-group.js';

/** A connection that outlives the connections to servers that it had, with servers that do what each test says. */

let group: ScriptedGroup;
beforeEach(async () => {
  group = await ScriptedGroup.start();
});
afterEach(() => group.stop());

const PING = 0x0e;
const IN_TRANSACTION = 3;
/** An OK with one row affected, and LAST_INSERT_ID() 7. */
const INSERTED = Buffer.from([0, 1, 7, 2, 0, 0, 0]);

async function lend(...options: Parameters<ScriptedGroup['create']>): Promise<FabricPoolConnection> {
  const pool = group.create(...options);
  return new Promise((resolve, reject) => pool.getConnection((error, one) => (error ? reject(error) : resolve(one))));
}

/** Until its statements go to the server that leads now. */
async function follow(connection: FabricPoolConnection, port: number): Promise<void> {
  while (connection.server?.port !== port) {
    await connection.promise().query('SELECT 1');
    await sleep(5);
  }
}

describe('thousands of statements that wait on one connection', () => {
  const MANY = 10_000;

  it.each([
    ['their transaction is lost', () => group.primary.sockets.forEach(socket => void socket.destroy())],
    ['it is destroyed', (connection: FabricPoolConnection) => connection.destroy()],
  ])('all hear, in their order, when %s', async (_name, end) => {
    group.primary.script = (sql, answer) => (sql === 'hang' ? undefined : answer.ok(IN_TRANSACTION));
    const connection = await lend();
    await connection.promise().beginTransaction();
    connection.query('hang', () => {});
    const heard: number[] = [];
    for (let n = 0; n < MANY; n += 1) connection.query(`INSERT ${n}`, error => error && heard.push(n));
    await until('it hangs', () => group.primary.statements.includes('hang'));
    end(connection);
    await until('all have heard', () => heard.length === MANY);
    expect(heard).toEqual(Array.from({ length: MANY }, (_, n) => n));
    connection.release();
  });
});

describe('a READONLY connection that only the primary can serve', () => {
  it('stays there, with its session, as long as nobody else can be reached', async () => {
    await Promise.all(group.secondaries.map(mysql => mysql.close()));
    const connection = await lend({ mode: 'READONLY' });
    for (let n = 0; n < 20; n += 1) await connection.promise().query(`SELECT ${n}`);
    await connection.promise().query('SET @x = 1');
    for (let n = 0; n < 20; n += 1) await connection.promise().query('SELECT @x');
    expect(group.primary.statements).toHaveLength(41);
    expect(group.primary.connections).toBeLessThan(5);
    connection.release();
  });
});

describe('LAST_INSERT_ID()', () => {
  beforeEach(() => {
    group.primary.script = (sql, answer) => (sql.startsWith('INSERT') ? answer.raw(1, INSERTED) : answer.ok());
  });

  it('is not asked of a server that does not know it', async () => {
    const [next] = group.secondaries;
    const connection = await lend();
    await connection.promise().query('INSERT 1');
    await connection.promise().query('SELECT LAST_INSERT_ID()');
    group.lead(next);
    await follow(connection, next.port);
    const error = await failureOf(connection.promise().query('SELECT LAST_INSERT_ID()'));
    expect(error).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST', fabric: { outcome: 'not-executed' } });
    expect(next.statements).not.toContain('SELECT LAST_INSERT_ID()');
    await connection.promise().query('SELECT @@identity'); // told once, the application knows
    connection.release();
  });

  it('is gone without an error when the application itself left the server', async () => {
    const connection = await lend();
    await connection.promise().query('INSERT 1');
    connection.setProperty({ mode: 'READONLY' });
    await connection.promise().query('SELECT LAST_INSERT_ID()');
    connection.release();
  });

  it('nor after the connection was lost', async () => {
    const connection = await lend();
    await connection.promise().query('INSERT 1');
    for (const socket of group.primary.sockets) socket.destroy();
    await until('it is seen', () => group.primary.sockets.size === 0);
    const error = await failureOf(connection.promise().query('INSERT INTO b VALUES (LAST_INSERT_ID())'));
    expect(error.code).toBe('PROTOCOL_CONNECTION_LOST');
    expect(group.primary.statements).toEqual(['INSERT 1']);
    connection.release();
  });
});

describe('validateAfter', () => {
  it('holds for a connection that somebody keeps, too', async () => {
    const connection = await lend({ validateAfter: 100 });
    await connection.promise().query('SELECT 1');
    expect(group.primary.commands).not.toContain(PING);
    await sleep(2_500); // the pool's clock goes by seconds
    await connection.promise().query('SELECT 3');
    expect(group.primary.commands).toContain(PING);
    connection.release();
  });
});

describe('the server that is told', () => {
  it('has the role that it has now', async () => {
    const [next] = group.secondaries;
    const pool = group.create();
    for (let n = 0; n < 4; n += 1) await pool.promise().query({ sql: 'SELECT 1', mode: 'READONLY' });
    group.lead(next);
    while (next.statements.filter(sql => sql === 'INSERT 1').length === 0) await pool.promise().query('INSERT 1');
    const roles = Object.fromEntries(pool.stats().map(({ server }) => [server.port, server.status]));
    expect(roles).toMatchObject({ [next.port]: 3, [group.primary.port]: 2 });
    next.script = (_sql, answer) => answer.error(1062, '23000', 'there is one');
    const error = await failureOf(pool.promise().query('INSERT 1'));
    expect(error.fabric?.server).toMatchObject({ port: next.port, status: 3, mode: 3 });
  });
});
