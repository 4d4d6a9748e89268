import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockOf } from '../../src/fabric/store/mysql-claim.js';
import { createPool } from '../../src/promise.js';
import { freePort } from '../../src/testing/free-port.js';
import { accounts, Mysqld, startMysqlds } from '../../src/testing.js';
import { CliProcess } from './cli-process.js';
import { until } from './cluster.js';

/** Two machines run the same service on one MySQL store: the second one is started again and again, and takes over when the first is gone. */

let store: Mysqld;
let servers: Mysqld[];
let dir: string;
beforeAll(async () => {
  [store, servers] = await Promise.all([Mysqld.start(), startMysqlds(2)]);
  dir = mkdtempSync(join(tmpdir(), 'fabric-standby-'));
}, 600_000);
afterAll(async () => {
  CliProcess.endAll();
  await Promise.all([store, ...servers].map(server => server.remove()));
  rmSync(dir, { recursive: true, force: true });
});

test('a second node on the same MySQL store takes over when the first one is killed', { timeout: 60_000 }, async () => {
  const [first = 0, second = 0] = [await freePort(), await freePort()];
  const config = {
    'storage.type': 'mysql',
    'storage.address': store.address,
    'storage.user': accounts.fabric.user,
    'storage.password': accounts.fabric.password,
    'storage.database': 'state',
    'servers.user': accounts.fabric.user,
    'servers.password': accounts.fabric.password,
    'protocol.xmlrpc.user': 'admin',
    'protocol.xmlrpc.password': 'secret',
  };
  const env = (port: number) => ({
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${port}`,
    ...Object.fromEntries(
      Object.entries(config).map(([key, value]) => [`MYSQL2_FABRIC_${key.toUpperCase().replaceAll('.', '_')}`, value]),
    ),
  });
  const start = (port: number) => new CliProcess(['manage', 'start'], { cwd: dir, env: env(port) });
  const call = async (port: number, line: string) => {
    const { status, out, err } = await new CliProcess(line.split(' '), { cwd: dir, env: env(port) }).ended();
    expect([status, err]).toEqual([0, '']);
    return out;
  };

  const active = start(first);
  await active.says(/Listening/);
  await call(first, 'group create shop');
  for (const { address } of servers) await call(first, `group add shop ${address}`);
  await call(first, `group promote shop --slave_id=${servers[0]?.address}`);
  await call(first, 'group activate shop');
  const pool = createPool({
    fabric: { nodes: [`127.0.0.1:${first}`, `127.0.0.1:${second}`], user: 'admin', password: 'secret' },
    ...{ ...accounts.app, group: 'shop', ttl: 0.5, connectionLimit: 2 },
  });
  await pool.query('CREATE TABLE app.orders (id INT)');

  const standby = start(second);
  expect((await standby.ended()).err).toContain('Another node uses the state store state on ');
  active.signal('SIGKILL');
  await servers[0]?.kill();
  // As a service manager does it.
  let next = start(second);
  await until('the second node to take over', async () => {
    if (/Listening/.test(next.err)) return true;
    const ended = await Promise.race([next.ended(), sleep(100)]);
    if (ended) next = start(second);
    return false;
  });
  await pool.query('INSERT INTO app.orders VALUES (1)');
  expect(await call(second, 'event log')).toContain('is FAULTY, says');

  // One that is told to stop has stopped, although a standby that waits has the store at once.
  const rival = await store.connect();
  const waiting = rival.query(`SELECT GET_LOCK('${lockOf('state')}', 20) AS locked`);
  await call(second, 'manage stop');
  expect((await waiting)[0]).toEqual([{ locked: 1 }]);
  rival.destroy();
  await pool.end();
});
