import { readFileSync } from 'node:fs';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { APP_DATABASE, accounts, type TestServer, testServers } from '../../src/testing.js';
import { Cluster } from './cluster.js';
import { Example } from './example.js';

/** The examples do what they say. */

const running: Example[] = [];

function start(name: string, env: Readonly<Record<string, string>>): Example {
  const example = new Example(name, env);
  running.push(example);
  return example;
}

afterEach(() => {
  for (const example of running.splice(0)) example.kill();
});

describe('with a running group', () => {
  let cluster: Cluster;
  let env: Record<string, string>;

  beforeAll(async () => {
    cluster = await Cluster.start(3);
    const { host, port } = cluster.fabric.address.xmlrpc;
    env = {
      FABRIC_ADDRESS: `${host}:${port}`,
      FABRIC_USER: Cluster.fabricAccount.user,
      FABRIC_PASSWORD: Cluster.fabricAccount.password,
      FABRIC_GROUP: Cluster.group,
      MYSQL_USER: accounts.app.user,
      MYSQL_PASSWORD: accounts.app.password,
      MYSQL_DATABASE: APP_DATABASE,
    };
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it('connect.ts writes on the primary and reads on a secondary', async () => {
    const example = start('connect', env);
    expect(await example.end(), example.output).toBe(0);
    const primary = await cluster.primary();
    expect(example.output).toContain(`written on ${primary.address}\n`);
    const [, read] = /read on (\S+)/.exec(example.output) ?? [];
    expect((await cluster.secondaries()).map(({ address }) => address)).toContain(read);
    expect(await primary.query(`SELECT visitor FROM ${APP_DATABASE}.visits`)).toEqual([{ visitor: 'Ada' }]);
  });

  it('pool.ts shares the reads', async () => {
    const example = start('pool', env);
    expect(await example.end(), example.output).toBe(0);
    for (const { port } of await cluster.secondaries()) expect(example.output).toContain(`5 reads on port ${port}\n`);
  });

  it.each(['kysely', 'drizzle', 'knex', 'sequelize', 'typeorm'])(
    'orm-%s.ts writes on the primary and reads on a secondary',
    async name => {
      const example = start(`orm-${name}`, env);
      expect(await example.end(), example.output).toBe(0);
      const primary = await cluster.primary();
      expect(example.output).toContain(`written on port ${primary.port}\n`);
      const secondaries = (await cluster.secondaries()).map(({ port }) => String(port));
      for (const [, port] of example.output.matchAll(/^read on port (.*)$/gm)) expect(secondaries).toContain(port);
      expect(example.output).toMatch(/^read on port/m);
      const orders = await primary.query(`SELECT customer FROM ${APP_DATABASE}.${name}_orders ORDER BY id`);
      expect(orders).toEqual([{ customer: 'Ada' }, { customer: 'Grace' }]);
    },
  );

  it('http-service.ts serves, and ends when it is told to', async () => {
    const service = start('http-service', { ...env, PORT: '0' });
    const [url] = await service.prints(/http:\S+/);
    const answer = await fetch(`${url}/notes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: 'hello' }),
    });
    expect(answer.status).toBe(201);
    const { id } = (await answer.json()) as { id: number };
    const primary = await cluster.primary();
    const [row] = await primary.query(`SELECT text FROM ${APP_DATABASE}.notes WHERE id = ${id}`);
    expect(row).toEqual({ text: 'hello' });
    expect((await fetch(`${url}/notes`)).status).toBe(200);
    expect(await service.end('SIGTERM'), service.output).toBe(0);
  });

  it('transaction-with-retry.ts loses nothing and does nothing twice when the primary dies', async context => {
    const primary = await cluster.primary();
    context.skip(!primary.managed, 'a server that somebody else runs cannot be killed');
    const example = start('transaction-with-retry', { ...env, TRANSFERS: '40' });
    await example.prints(/transfer 3: done/);
    await primary.kill();
    await example.prints(/transfer 40: .*\n/, 25_000);
    expect(await example.end(), example.output).toBe(0);

    const told = [...example.output.matchAll(/^transfer (\d+): (done|in-doubt|.*)/gm)];
    const done = told.filter(([, , outcome]) => outcome === 'done').length;
    const inDoubt = told.filter(([, , outcome]) => outcome === 'in-doubt').length;
    expect([done + inDoubt, inDoubt <= 1], example.output).toEqual([40, true]);
    const [sums] = await (await cluster.primary()).query(
      `SELECT COUNT(*) AS numbers, SUM(pair) AS unbalanced, MAX(times) AS most FROM
        (SELECT ABS(amount) AS number, SUM(amount) AS pair, COUNT(*) AS times FROM ${APP_DATABASE}.transfers GROUP BY number) AS t`,
    );
    expect(Number(sums?.numbers)).toBeGreaterThanOrEqual(done);
    expect(Number(sums?.unbalanced)).toBe(0);
    expect(Number(sums?.most)).toBe(2);
  });
});

describe('with servers alone', () => {
  let servers: TestServer[];
  beforeAll(async () => {
    servers = await testServers(3);
  });
  afterEach(async () => {
    await Promise.all(servers.map(server => server.reset()));
  });
  afterAll(async () => {
    await Promise.all(servers.map(server => server.remove()));
  });

  const addresses = () => servers.map(({ address }) => address).join();

  it('embedded-node.ts forms the group', async () => {
    const env = {
      MYSQL_SERVERS: addresses(),
      FABRIC_ADDRESS: '127.0.0.1:0',
      SERVERS_USER: accounts.fabric.user,
      SERVERS_PASSWORD: accounts.fabric.password,
    };
    const node = start('embedded-node', env);
    await node.prints(/ready at 127\.0\.0\.1:\d+/);
    expect(node.output.match(/ PRIMARY READ_WRITE/g)).toHaveLength(1);
    expect(node.output.match(/ SECONDARY READ_ONLY/g)).toHaveLength(2);
    expect(await node.end('SIGTERM'), node.output).toBe(0);
  });

  it('docker/node.ts forms the group, keeps its primary when started again, and is healthy then only', async () => {
    const port = await freePort();
    const env = {
      MYSQL_SERVERS: addresses(),
      FABRIC_ADDRESS: `127.0.0.1:${port}`,
      FABRIC_PASSWORD: 'secret',
      SERVERS_PASSWORD: accounts.fabric.password,
    };
    expect(await start('docker/healthcheck', env).end()).toBe(1);
    const open = /group my_group is open/;
    const first = start('docker/node', env);
    await first.prints(open);
    expect(await start('docker/healthcheck', env).end()).toBe(0);
    const before = await writable();
    expect(before).toHaveLength(1);
    expect(await first.end('SIGTERM'), first.output).toBe(0);

    const second = start('docker/node', env);
    await second.prints(open);
    expect(await writable()).toEqual(before);
    expect(await start('docker/healthcheck', env).end()).toBe(0);
    expect(await second.end('SIGTERM'), second.output).toBe(0);
  });

  it('docker/init.sql makes accounts that work, and leaves no GTIDs', async context => {
    const [server] = servers;
    if (server === undefined) throw new Error('no server');
    context.skip(
      !server.managed || server.version.startsWith('5.'),
      'needs a server of its own, and the statements of MySQL 8.4',
    );
    const connection = await server.connect({ multipleStatements: true });
    await connection.query("DROP USER 'fabric'@'%', 'app'@'%'; DROP DATABASE app");
    await connection.query(readFileSync('examples/docker/init.sql', 'utf8'));
    const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed');
    connection.destroy();
    expect(row).toEqual({ executed: '' });
    const app = await server.connect({ ...accounts.app, database: APP_DATABASE });
    await app.query('CREATE TABLE t (id INT PRIMARY KEY)');
    app.destroy();
  });

  async function writable(): Promise<string[]> {
    const flags = await Promise.all(servers.map(server => server.query('SELECT @@GLOBAL.read_only AS flag')));
    return servers.filter((_server, index) => flags[index]?.[0]?.flag === 0).map(({ address }) => address);
  }
});
