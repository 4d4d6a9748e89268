import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { versionNumber } from '../../src/testing/server-options.js';
import { accounts, Mysqld, startMysqlds } from '../../src/testing.js';

const bound = 20_000;

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + bound; ; await sleep(20)) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('it did not happen');
  }
}

async function value(server: Mysqld, expression: string): Promise<unknown> {
  const [row] = await server.query(`SELECT ${expression} AS value`);
  return row?.value;
}

let servers: Mysqld[];
let first: Mysqld;
let second: Mysqld;
let isNew: boolean;

beforeAll(async () => {
  // the first start of a version fetches it
  await Mysqld.start().then(server => server.remove());
  const begin = performance.now();
  servers = await startMysqlds(3);
  console.log(`MySQL ${servers[0]?.version}: three servers in ${Math.round(performance.now() - begin)} ms`);
  [first, second] = servers as [Mysqld, Mysqld];
  isNew = versionNumber(first.version) >= 80026;
}, 600_000);

afterAll(async () => await Mysqld.stopAll());

describe('a new server', () => {
  test('has a uuid, an id, a port and a folder of its own, and no GTIDs', async () => {
    const seen = await Promise.all(
      servers.map(server => server.query('SELECT @@server_uuid u, @@server_id i, @@port p, @@gtid_executed g')),
    );
    const rows = seen.map(([row]) => row);
    for (const column of ['u', 'i', 'p']) expect(new Set(rows.map(row => row?.[column])).size).toBe(3);
    expect(rows.map(row => row?.g)).toEqual(['', '', '']);
    expect(rows.map(row => row?.i)).toEqual(servers.map(server => server.serverId));
    expect(new Set(servers.map(server => server.datadir)).size).toBe(3);
  });

  test('is writable and logs with GTIDs', async () => {
    const [row] = await first.query('SELECT @@read_only r, @@log_bin l, @@gtid_mode g, VERSION() v');
    expect(row).toMatchObject({ r: 0, l: 1, g: 'ON', v: expect.stringContaining(first.version) });
  });

  test('has the three accounts', async () => {
    const fabric = await first.connect(accounts.fabric);
    const [[grants]] = await fabric.query<never[]>('SHOW GRANTS');
    expect(JSON.stringify(grants)).toContain('WITH GRANT OPTION');
    await fabric.query("CREATE USER someone@'%' IDENTIFIED BY 'x'");
    await fabric.end();
    const app = await first.connect({ ...accounts.app, database: 'app' });
    await app.query('CREATE TABLE t (id INT PRIMARY KEY)');
    await app.query('INSERT INTO t VALUES (1)');
    await expect(app.query('SET GLOBAL read_only = ON')).rejects.toMatchObject({
      code: 'ER_SPECIFIC_ACCESS_DENIED_ERROR',
    });
    await app.end();
  });
});

describe('the process', () => {
  test('stop and start keep port and data', async () => {
    await second.query('CREATE TABLE app.kept (id INT)');
    const pid = second.pid;
    await second.stop();
    expect(second.running).toBe(false);
    expect(second.pid).toBeUndefined();
    await expect(second.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await second.start();
    expect(second.pid).not.toBe(pid);
    expect(await second.query('SELECT COUNT(*) AS n FROM app.kept')).toEqual([{ n: 0 }]);
  });

  test('kill ends it at once, and start recovers', async () => {
    const { pid } = second;
    await second.kill();
    expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
    expect(() => second.pause()).toThrow('is down');
    await second.start();
    expect(await value(second, '@@port')).toBe(second.port);
  });

  test('a start takes no temporary table from another server', async () => {
    const held = await first.connect();
    await held.query('CREATE TEMPORARY TABLE mysql.held (n INT) ENGINE=MyISAM');
    await second.restart();
    await held.query('ALTER TABLE mysql.held ADD m INT'); // opens its files again
    const [rows] = await held.query('SELECT * FROM mysql.held');
    await held.end();
    expect(rows).toEqual([]);
  });

  test('restart', async () => {
    const uuid = await value(second, '@@server_uuid');
    await second.restart();
    expect(await value(second, '@@server_uuid')).toBe(uuid);
  });

  test('pause and resume', async () => {
    second.pause();
    const answer = second.query('SELECT 1 AS one');
    expect(await Promise.race([answer, sleep(300, 'silence')])).toBe('silence');
    second.resume();
    expect(await answer).toEqual([{ one: 1 }]);
  });

  test('a paused server can be stopped', async () => {
    second.pause();
    await second.stop();
    await second.start();
    expect(second.running).toBe(true);
  });

  test('remove leaves nothing', async () => {
    const server = await Mysqld.start();
    const { pid, datadir } = server;
    await server.remove();
    expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
    expect(existsSync(datadir)).toBe(false);
  });

  test('comes back by itself after RESTART', async () => {
    if (!isNew) return;
    const { pid } = second;
    await second.query('RESTART').catch(() => {});
    const after = await until(async () => ((await value(second, '1')) && second.pid !== pid ? second.pid : undefined));
    expect(after).toBeGreaterThan(0);
  });
});

describe('options', () => {
  test('go above the defaults, as a record or as lines', async () => {
    const server = await Mysqld.start({ options: { read_only: true, max_connections: 33 }, serverId: 4711 });
    expect(await server.query('SELECT @@read_only r, @@max_connections m, @@server_id i')).toEqual([
      { r: 1, m: 33, i: 4711 },
    ]);
    await server.remove();
    const other = await Mysqld.start({ options: ['--max_connections=44', 'read_only'] });
    expect(await other.query('SELECT @@read_only r, @@max_connections m')).toEqual([{ r: 1, m: 44 }]);
    await other.remove();
  });

  test('semiSync loads both plugins', async () => {
    if (!isNew) {
      await expect(Mysqld.start({ semiSync: true })).rejects.toThrow('semiSync needs MySQL 5.7');
      return;
    }
    const server = await Mysqld.start({ semiSync: true });
    expect(await server.query("SHOW VARIABLES LIKE 'rpl_semi_sync_%_enabled'")).toHaveLength(2);
    await server.remove();
  });

  test('a folder may be kept, and a later server goes on with it', async () => {
    const dir = `${first.datadir}-kept`;
    const server = await Mysqld.start({ dir, keepDir: true });
    await server.query('CREATE TABLE app.kept (id INT)');
    await server.stop();
    await server.remove();
    const later = await Mysqld.start({ dir });
    expect(await later.query('SHOW TABLES IN app')).toHaveLength(1);
    await later.remove();
    expect(existsSync(later.datadir)).toBe(true);
    await expect(Mysqld.start({ keepDir: true })).rejects.toThrow('keepDir needs dir');
  });
});

describe('a start that fails', () => {
  test('quotes the log', async () => {
    await expect(Mysqld.start({ options: { no_such_option: 1 } })).rejects.toThrow(
      /ended while starting(.|\n)*no_such_option/,
    );
  });

  test('is bounded', async () => {
    await expect(Mysqld.start({ startTimeout: 1 })).rejects.toThrow('did not answer within 1 ms');
  });

  test('names a port that is taken by another server', async () => {
    expect(first.running, first.log()).toBe(true);
    await expect(Mysqld.start({ port: first.port })).rejects.toThrow(/already in use/i);
  });

  test('is not held up by a mute program on its port', async () => {
    const mute = await listen(await freePort());
    const { port } = mute.address() as { port: number };
    await expect(Mysqld.start({ port })).rejects.toThrow(/already in use/i);
    mute.close();
  });
});

test('reset makes a replica with data blank again', async () => {
  await first.query('CREATE TABLE app.things (id INT PRIMARY KEY)');
  await second.reset();
  await second.query(pointAt(first));
  await second.query(isNew ? 'START REPLICA' : 'START SLAVE');
  await until(async () => (await second.query('SELECT COUNT(*) AS n FROM app.things')).length || undefined);
  await second.query('SET GLOBAL read_only = ON');
  await second.reset();
  expect(await second.query(isNew ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS')).toEqual([]);
  expect(await second.query('SELECT @@gtid_executed g, @@read_only r')).toEqual([{ g: '', r: 0 }]);
  expect(await second.query('SHOW TABLES IN app')).toEqual([]);
});

function pointAt(source: Mysqld): string {
  const { user, password } = accounts.fabric;
  return isNew
    ? `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port}, SOURCE_USER='${user}', SOURCE_PASSWORD='${password}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1`
    : `CHANGE MASTER TO MASTER_HOST='${source.host}', MASTER_PORT=${source.port}, MASTER_USER='${user}', MASTER_PASSWORD='${password}', MASTER_AUTO_POSITION=1`;
}

function listen(port: number): Promise<Server> {
  return new Promise(resolve => {
    const server = createServer(socket => socket.on('error', () => {}));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
