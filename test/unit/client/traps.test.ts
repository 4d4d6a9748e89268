import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2';
import promises from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import ours, { type FabricPool } from '../../../src/index.js';
import ourPromises from '../../../src/promise.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from '../../fakes/scripted-node.js';

/** What others stumbled over, and the test that fails when we do. */
const TRAPS: readonly [trap: string, file: string, title: string][] = [
  [
    'a read-only error leaves the connection in use: pool.query',
    'unit/client/session',
    'is sent again to the server that',
  ],
  ['..., a transaction, getConnection, prepared', 'unit/client/traps', 'evicts the connection of whoever'],
  ['saturation removes a healthy server', 'unit/client/session', 'are not sent for SQL errors, timeouts, saturation'],
  ['a wrong password counts against a server', 'integration/client-connection', 'tells a wrong password at once'],
  ['a server that hangs', 'integration/client-failover', 'what hangs on it fails once the topology has changed'],
  ['a packet out of place: the statement waits for ever', 'unit/client/session', 'when a packet is out of its place'],
  ['an error without a listener ends the process', 'integration/client-process', 'does not end the process'],
  ['another server, another object: `release` is gone', 'unit/client/traps', 'keeps what the caller holds'],
  ['a pool tries a dead server without a pause', 'unit/client/session', 'never keeps the event loop from turning'],
  [
    'statements smuggled along with a statement',
    'tables/mysql2-calls/queries',
    'multipleStatements that are not allowed',
  ],
  [
    'a transaction that BEGIN, or autocommit, opened',
    'integration/client-connection',
    'stays on its connection, whatever',
  ],
  [
    'a transaction is split over two servers',
    'integration/client-lost-transaction',
    'are not executed on another connection',
  ],
  ['somebody inherits an open transaction', 'integration/client-pool', 'lets nobody inherit a transaction left open'],
  ['an idle connection that the server closed', 'integration/client-pool', 'are handed to nobody'],
  ['a closed statement is sent again', 'tables/mysql2-calls/connections', 'prepare, close, execute'],
  ['query(sql, callback) returns nothing to chain on', 'tables/mysql2-calls/queries', 'events beside a callback'],
];

it.each(TRAPS)('%s: has a test', (_trap, file, title) => {
  const path = ['.test.ts', '.ts'].map(end => join(import.meta.dirname, '../..', file + end));
  const texts = path.flatMap(name => {
    try {
      return [readFileSync(name, 'utf8')];
    } catch {
      return [];
    }
  });
  expect(texts.join('')).toContain(title);
});

let node: ScriptedNode;
let first: ScriptedMysql;
let second: ScriptedMysql;
let pool: FabricPool;

beforeEach(async () => {
  [node, first, second] = await Promise.all([startScriptedNode(), startScriptedMysql(), startScriptedMysql()]);
  node.servers = [aServer(first.port)];
  pool = ours.createPool({ fabric: { host: '127.0.0.1', port: node.port }, user: 'u', group: 'g', ttl: 0.05 });
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

it("createPoolCluster is mysql2's own", () => {
  expect(ours.createPoolCluster).toBe(mysql.createPoolCluster);
  expect(ourPromises.createPoolCluster).toBe(promises.createPoolCluster);
});
