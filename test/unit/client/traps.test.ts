import { type EventEmitter, once } from 'node:events';
import mysql from 'mysql2';
import promises from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import ours, { type FabricPool } from '../../../src/index.js';
import ourPromises from '../../../src/promise.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from '../../fakes/scripted-node.js';

/** What others stumbled over, as far as no other file is the place for it; test/tables/traps.test.ts lists all. */

let node: ScriptedNode;
let first: ScriptedMysql;
let second: ScriptedMysql;
let pool: FabricPool;

const options = () => ({ fabric: { host: '127.0.0.1', port: node.port }, user: 'u', group: 'g', ttl: 0.05 });

beforeEach(async () => {
  [node, first, second] = await Promise.all([startScriptedNode(), startScriptedMysql(), startScriptedMysql()]);
  node.servers = [aServer(first.port)];
  pool = ours.createPool(options());
});
afterEach(async () => {
  await pool.promise().end();
  await Promise.all([node.close(), first.close(), second.close()]);
});

describe('another server', () => {
  it('keeps what the caller holds: the object, its methods and its listeners', async () => {
    const promised = await pool.promise().getConnection();
    const held = (promised as unknown as { connection: mysql.PoolConnection }).connection;
    const heard: unknown[] = [];
    held.on('connect', () => heard.push('connect'));
    const before = [held.query, held.release, held.destroy];
    await promised.query('SELECT 1');
    node.servers = [aServer(second.port)];
    await expect
      .poll(async () => {
        await promised.query('SELECT 2');
        return second.statements.length;
      })
      .toBeGreaterThan(0);
    expect([held.query, held.release, held.destroy]).toEqual(before);
    expect(held).toBeInstanceOf(mysql.PoolConnection);
    expect(heard).toContain('connect');
    promised.release();
    expect(pool.stats().reduce((sum, { busy }) => sum + busy, 0)).toBe(0);
  });
});

describe('a read-only error', () => {
  const PATHS: readonly [name: string, path: (connection: promises.PoolConnection) => Promise<unknown>][] = [
    ['query', connection => connection.query('INSERT 1')],
    ['a promise of its core', connection => (connection as unknown as Core).connection.promise().query('INSERT 1')],
  ];
  type Core = { connection: mysql.PoolConnection };

  it.each(PATHS)('evicts the connection of whoever holds it in a transaction: %s', async (_name, insert) => {
    first.script = (sql, answer) => {
      if (sql === 'START TRANSACTION') answer.ok(3);
      else if (sql === 'INSERT 1') answer.error(1290, 'HY000', 'read-only');
      else if (sql.includes('read_only')) answer.rows(['1'], true, 'readOnly');
      else answer.ok();
    };
    const connection = await pool.promise().getConnection();
    await connection.beginTransaction();
    const connections = first.connections;
    await expect(insert(connection)).rejects.toMatchObject({ errno: 1290, fabric: { outcome: 'rolled-back' } });
    await connection.rollback().catch(() => {}); // with a transaction still open it would go anyway
    connection.release();
    await pool.promise().query('SELECT 1');
    expect(first.connections).toBe(connections + 1);
  });
});

describe('a server whose connections are all busy', () => {
  it('is refused to many, and serves as before when one is free: nothing is held against it', async () => {
    await pool.promise().end();
    pool = ours.createPool({ ...options(), connectionLimit: 1, waitForConnections: false });
    const held = await pool.promise().getConnection();
    for (let n = 0; n < 20; n += 1) {
      await expect(pool.promise().getConnection()).rejects.toMatchObject({ code: 'FABRIC_QUEUE_LIMIT' });
      await expect(pool.promise().query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_QUEUE_LIMIT' });
    }
    held.release();
    await pool.promise().query('SELECT 1');
    expect(first.connections).toBe(1);
    expect(node.calls.filter(({ method }) => method !== 'dump.servers')).toEqual([]);
  });
});

describe('a group whose servers are all gone', () => {
  it.each(['query', 'execute'] as const)(
    'takes a statement without a callback, and tells its error: %s',
    async verb => {
      await pool.promise().end();
      pool = ours.createPool({ ...options(), failoverTimeout: 0.2 });
      await pool.promise().query('SELECT 1');
      node.servers = [];
      await expect
        .poll(() =>
          pool
            .promise()
            .query('SELECT 1')
            .then(
              () => 'served',
              ({ code }) => code,
            ),
        )
        .toBe('FABRIC_NO_SERVER');
      const command = pool[verb]('SELECT 1') as unknown as EventEmitter;
      const [error] = await once(command, 'error').catch(thrown => [thrown]);
      expect(error).toMatchObject({ code: 'FABRIC_NO_SERVER', fabric: { outcome: 'not-executed' } });
      pool[verb]('SELECT 1'); // nobody listens: the process lives on
    },
  );
});

it("createPoolCluster is mysql2's own", () => {
  expect(ours.createPoolCluster).toBe(mysql.createPoolCluster);
  expect(ourPromises.createPoolCluster).toBe(promises.createPoolCluster);
});
