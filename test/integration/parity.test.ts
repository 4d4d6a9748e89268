import mysql from 'mysql2';
import promises from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import fabricMysql from '../../src/index.js';
import fabricPromises from '../../src/promise.js';
import { APP_DATABASE, accounts, type TestServer } from '../../src/testing.js';
import { calls } from '../tables/mysql2-calls/all.js';
import type { Call, Doors } from '../tables/mysql2-calls/call.js';
import { Cluster } from './cluster.js';

/** Each call of the table, to the same server, with mysql2 and with ours: results, fields, errors, events, arguments and when they come. */

let cluster: Cluster;
let primary: TestServer;
let theirs: Doors;
let ours: Doors;

beforeAll(async () => {
  cluster = await Cluster.start(1);
  primary = await cluster.primary();
  await primary.query('CREATE TABLE app.calls (id INT PRIMARY KEY, text VARCHAR(100)) ENGINE=InnoDB');
  await primary.query("GRANT REPLICATION SLAVE ON *.* TO 'app'@'%'");
  await primary.query('SET GLOBAL local_infile = 1');
  const { host, port } = primary;
  theirs = { mysql, promises, options: { host, port, ...accounts.app, database: APP_DATABASE } };
  ours = {
    mysql: fabricMysql as never,
    promises: fabricPromises as never,
    options: cluster.clientOptions as mysql.PoolOptions,
  };
});
afterAll(() => cluster.stop());

/** What differs from run to run, or is how the one or the other says "nothing". */
function tidy(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (value instanceof Error) {
    const { code, errno, sqlState, sqlMessage, fatal, sql } = value as mysql.QueryError & Record<string, unknown>;
    return { message: value.message, code, errno, sqlState, sqlMessage, fatal: fatal === true, sql };
  }
  if (Array.isArray(value)) return value.map(tidy);
  if (value instanceof Date || Buffer.isBuffer(value) || typeof value !== 'object') return value;
  const own = 'inspect' in value && typeof value.inspect === 'function' ? value.inspect() : value;
  return Object.fromEntries(Object.entries(own as object).map(([name, entry]) => [name, tidy(entry)]));
}

function tidyAll(values: unknown[]): unknown[] {
  const tidied = values.map(tidy);
  while (tidied.length > 0 && tidied.at(-1) === null) tidied.pop();
  return tidied;
}

async function tape(call: Call, doors: Doors): Promise<unknown[][]> {
  const lines: unknown[][] = [];
  await primary.query('DELETE FROM app.calls');
  await primary.query("INSERT INTO app.calls VALUES (1, 'one')");
  await call.run(doors, (what, ...values) => lines.push([what, ...tidyAll(values)]));
  return lines;
}

it.each(calls.map(call => [call.name, call] as const))('%s', async (_name, call) => {
  const expected = await tape(call, theirs);
  expect(expected).not.toEqual([]);
  const got = await tape(call, ours);
  if (call.differs === undefined) expect(got).toEqual(expected);
  else expect(got, `${call.differs} differs no more`).not.toEqual(expected);
});
