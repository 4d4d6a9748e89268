import type { RowDataPacket } from 'mysql2';
import { afterEach, describe, expect, it } from 'vitest';
import type { ErrorFacts } from '../../src/index.js';
import fabricPromise, { type FabricPool, type FabricPoolOptions } from '../../src/promise.js';
import { FaultProxy, type TestServer } from '../../src/testing.js';
import { Cluster, until } from './cluster.js';

type Rows = RowDataPacket[];
type Failure = Error & { code?: string; errno?: number; fabric?: ErrorFacts };

let cluster: Cluster;
const pools: FabricPool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map(pool => pool.end()));
  await cluster.stop();
});

async function start(count: number, options: Parameters<typeof Cluster.start>[2] = {}): Promise<TestServer> {
  cluster = await Cluster.start(count, {}, options);
  const primary = await cluster.primary();
  await primary.query(
    'CREATE TABLE app.log (id INT AUTO_INCREMENT PRIMARY KEY, token INT, port INT, KEY (token)) ENGINE=InnoDB',
  );
  for (const secondary of await cluster.secondaries()) {
    await until('the table is replicated', () =>
      secondary.query('SELECT 1 FROM app.log').then(
        () => true,
        () => false,
      ),
    );
  }
  return primary;
}

function create(options: Partial<FabricPoolOptions> = {}): FabricPool {
  const pool = fabricPromise.createPool({ ...cluster.clientOptions, ...options });
  pools.push(pool);
  return pool;
}

const INSERT = 'INSERT INTO log (token, port) VALUES (?, @@port)';

/** What the application was told about each of its writes. */
class Writers {
  readonly succeeded = new Set<number>();
  readonly failed = new Map<number, Failure>();
  slowest = 0;
  #stopped = false;
  readonly #running: Promise<void>[];
  static #next = 1;

  constructor(count: number, write: (token: number) => Promise<unknown>) {
    this.#running = Array.from({ length: count }, async () => {
      while (!this.#stopped) await this.#one(Writers.#next++, write);
    });
  }

  async #one(token: number, write: (token: number) => Promise<unknown>): Promise<void> {
    const began = performance.now();
    try {
      await write(token);
      this.succeeded.add(token);
    } catch (error) {
      this.failed.set(token, error as Failure);
    }
    this.slowest = Math.max(this.slowest, performance.now() - began);
    await new Promise(resolve => setTimeout(resolve, 1));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  outcomes(): Set<string | undefined> {
    return new Set([...this.failed.values()].map(({ fabric, code }) => fabric?.outcome ?? code));
  }
}

/** token → servers that executed it, as many times as they did: each row says where it was born. */
async function births(servers: readonly TestServer[]): Promise<Map<number, string[]>> {
  const rows = new Map<string, number>();
  for (const server of servers) {
    for (const { id, token, port } of await server.query('SELECT id, token, port FROM app.log')) {
      rows.set(`${port}/${id}/${token}`, token);
    }
  }
  const births = new Map<number, string[]>();
  for (const [birth, token] of rows) births.set(token, [...(births.get(token) ?? []), birth]);
  return births;
}

/** Nothing was executed twice, nothing reported successful is missing, and what was said not to have been executed was not. */
async function expectHonest(writers: Writers, servers: readonly TestServer[]): Promise<void> {
  const born = await births(servers);
  const twice = [...born].filter(([, places]) => places.length > 1);
  expect(twice).toEqual([]);
  expect([...writers.succeeded].filter(token => !born.has(token))).toEqual([]);
  for (const [token, { fabric }] of writers.failed) {
    if (fabric?.outcome !== 'in-doubt') expect(born.has(token), `${token} ${fabric?.outcome}`).toBe(false);
  }
}

describe('the primary is killed', () => {
  it('writes are held, none is executed twice, none is told wrongly', async () => {
    const old = await start(3);
    const pool = create({ connectionLimit: 4 });
    const writers = new Writers(12, token => pool.query(INSERT, [token]));
    const readers = new Writers(4, () => pool.query({ sql: 'SELECT COUNT(*) FROM log', mode: 1 } as never));
    await until('writes', () => writers.succeeded.size > 50);
    await old.kill();
    const before = writers.succeeded.size;
    await until('writes on the new primary', () => writers.succeeded.size > before + 100);
    await Promise.all([writers.stop(), readers.stop()]);

    expect((await cluster.primary()).port).not.toBe(old.port);
    expect([...readers.failed.values()]).toEqual([]);
    expect([...writers.outcomes()].filter(outcome => outcome !== 'in-doubt')).toEqual([]);
    expect(writers.failed.size).toBeLessThanOrEqual(4); // what was in flight: no more than there were connections
    await old.start();
    await expectHonest(writers, cluster.servers);
  });

  it('transactions fail as rolled back, or in doubt when it was the COMMIT, and begin anew on the new primary', async () => {
    const old = await start(3);
    const pool = create({ connectionLimit: 6 });
    const writers = new Writers(6, async token => {
      const connection = await pool.getConnection();
      try {
        await connection.beginTransaction();
        await connection.query(INSERT, [token]);
        await new Promise(resolve => setTimeout(resolve, 20));
        await connection.commit();
      } finally {
        connection.release();
      }
    });
    await until('transactions', () => writers.succeeded.size > 20);
    await old.kill();
    const before = writers.succeeded.size;
    await until('transactions on the new primary', () => writers.succeeded.size > before + 20);
    await writers.stop();
    expect(writers.failed.size).toBeGreaterThan(0);
    const allowed = new Set(['rolled-back', 'in-doubt']);
    expect([...writers.outcomes()].filter(outcome => !allowed.has(String(outcome)))).toEqual([]);
    await old.start();
    await expectHonest(writers, cluster.servers);
  });
});

describe('a secondary is killed', () => {
  it('reads go on at the others, and at the primary when none is left', async () => {
    const primary = await start(3);
    const pool = create({ mode: 'READONLY', failoverTimeout: 5_000 });
    const readers = new Writers(6, () => pool.query('SELECT COUNT(*) FROM log'));
    await until('reads', () => readers.succeeded.size > 50);
    const secondaries = await cluster.secondaries();
    await secondaries[0]?.kill();
    let before = readers.succeeded.size;
    await until('reads', () => readers.succeeded.size > before + 50);
    await secondaries[1]?.kill();
    before = readers.succeeded.size;
    await until('reads', () => readers.succeeded.size > before + 50);
    await readers.stop();
    expect([...readers.failed.values()]).toEqual([]);
    const [[row]] = await pool.query<Rows>('SELECT @@port AS port');
    expect(row?.port).toBe(primary.port);
  });
});

describe('the primary is frozen', () => {
  it('what hangs on it fails once the topology has changed, and new writes go to the new primary', async () => {
    const old = await start(3);
    const pool = create({ connectionLimit: 4 });
    await Promise.all([1, 2, 3].map(() => pool.query('SELECT SLEEP(0.05)')));
    old.pause();
    try {
      const began = performance.now();
      const hanging = await Promise.all(
        [1, 2, 3].map(token =>
          pool.query(INSERT, [token]).then(
            () => undefined,
            (error: Failure) => error,
          ),
        ),
      );
      expect(hanging.map(error => error?.fabric?.outcome)).toEqual(['in-doubt', 'in-doubt', 'in-doubt']);
      await pool.query(INSERT, [4]);
      expect(performance.now() - began).toBeLessThan(25_000);
      expect((await cluster.primary()).port).not.toBe(old.port);
    } finally {
      old.resume();
    }
  });
});

describe('a planned switchover', () => {
  it('costs nobody an error who has nothing in flight, on any path', async () => {
    const old = await start(3);
    const pool = create({ connectionLimit: 4 });
    const logical = fabricPromise.connect(cluster.clientOptions);
    const kept = await pool.getConnection();
    await Promise.all([logical.query('SELECT 1'), kept.query('SELECT 1')]);
    const prepared = await logical.prepare(INSERT);
    await cluster.call('group.promote', Cluster.group);
    const fresh = await cluster.primary();
    expect(fresh.port).not.toBe(old.port);

    await pool.query(INSERT, [1]);
    await pool.execute(INSERT, [2]);
    await logical.query(INSERT, [3]);
    await prepared.execute([4]);
    await kept.query(INSERT, [5]);
    kept.release();
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    await connection.query(INSERT, [6]);
    await connection.commit();
    connection.release();
    await logical.end();
    const rows = await fresh.query('SELECT token, port FROM app.log ORDER BY token');
    expect(rows).toEqual([1, 2, 3, 4, 5, 6].map(token => ({ token, port: fresh.port })));
  });

  it('holds the writes of a busy application; what fails was not executed, or was in a transaction', async () => {
    await start(3);
    const pool = create({ connectionLimit: 4 });
    const writers = new Writers(8, token => pool.query(INSERT, [token]));
    await until('writes', () => writers.succeeded.size > 50);
    for (let n = 0; n < 2; n += 1) {
      await cluster.call('group.promote', Cluster.group);
      const before = writers.succeeded.size;
      await until('writes on the new primary', () => writers.succeeded.size > before + 50);
    }
    await writers.stop();
    expect([...writers.outcomes()].filter(outcome => outcome !== 'in-doubt')).toEqual([]);
    await expectHonest(writers, cluster.servers);
  });

  it('a server that lost its role behind our back refuses, and the write is held until the topology says better', async () => {
    const old = await start(2);
    const pool = create({ ttl: 60 });
    const connection = await pool.getConnection();
    await pool.query('SELECT 1');
    await connection.query('SELECT 1');
    await old.query('SET GLOBAL read_only = 1');
    setTimeout(() => void old.query('SET GLOBAL read_only = 0'), 500);
    const began = performance.now();
    await Promise.all([
      pool.query(INSERT, [1]),
      pool.execute(INSERT, [2]),
      connection.query(INSERT, [3]),
      connection.execute(INSERT, [4]),
    ]);
    expect(performance.now() - began).toBeGreaterThan(400);
    connection.release();
    await old.query('SET GLOBAL read_only = 1');
    const transaction = await pool.getConnection();
    await transaction.beginTransaction();
    const error: Failure = await transaction.query(INSERT, [5]).then(
      () => new Error('no error'),
      caught => caught,
    );
    expect(error).toMatchObject({ errno: 1290, fabric: { outcome: 'rolled-back' } });
    transaction.release();
    await old.query('SET GLOBAL read_only = 0');
  });

  it('1290 for another reason is passed on at once and unchanged', async () => {
    await start(2);
    const pool = create({ user: 'fabric', password: 'fabric', failoverTimeout: 10_000 });
    const [[variable]] = await pool.query<Rows>('SELECT @@global.secure_file_priv AS folder');
    const [[before]] = await pool.query<Rows>('SELECT CONNECTION_ID() AS id');
    const began = performance.now();
    const file = `${variable?.folder ?? ''}` === '' ? '/nowhere/x' : '/elsewhere/x';
    const error: Failure = await pool.query(`SELECT 1 INTO OUTFILE '${file}'`).then(
      () => new Error(''),
      e => e,
    );
    expect(error.fabric?.outcome).toBe('answered');
    const noRestriction = variable?.folder === '' || cluster.servers[0]?.version.startsWith('5.6');
    expect(error.errno).toBe(noRestriction ? 1 : 1290);
    expect(performance.now() - began).toBeLessThan(2_000);
    const [[after]] = await pool.query<Rows>('SELECT CONNECTION_ID() AS id');
    expect(after?.id).toBe(before?.id);
  });
});

describe('the primary restarts read-only, and there is nobody to take over', () => {
  it('holds the writes until the node has opened it', async context => {
    const only = await start(1, { options: { 'read-only': 'ON' } });
    context.skip(!only.managed, 'a server that somebody else runs cannot be killed');
    const pool = create({ connectionLimit: 4 });
    const writers = new Writers(12, token => pool.query(INSERT, [token]));
    // By then what the server says of its start, in whole seconds, tells this one from the next.
    const since = performance.now();
    await until('some writes', () => writers.succeeded.size > 50 && performance.now() - since > 3_200);
    await only.kill();
    await only.start();
    const before = writers.succeeded.size;
    await until('writes again', () => writers.succeeded.size > before + 100);
    await writers.stop();
    expect([...writers.outcomes()].filter(outcome => outcome !== 'in-doubt')).toEqual([]);
    expect(writers.failed.size).toBeLessThanOrEqual(4);
    await expectHonest(writers, cluster.servers);
  });
});

describe('the Fabric node is stopped', () => {
  it('costs a running application nothing', async () => {
    await start(3);
    const pool = create({ connectionLimit: 4, ttl: 0.2 });
    const writers = new Writers(4, token => pool.query(INSERT, [token]));
    const readers = new Writers(4, () => pool.query({ sql: 'SELECT COUNT(*) FROM log', mode: 1 } as never));
    await until('writes', () => writers.succeeded.size > 50 && readers.succeeded.size > 50);
    const [secondary] = await cluster.secondaries();
    await cluster.fabric.stop();
    writers.slowest = 0;
    readers.slowest = 0;
    const fresh = create({ connectionLimit: 1 });
    await expect(fresh.query('SELECT 1')).rejects.toMatchObject({ code: 'FABRIC_UNREACHABLE' });
    await secondary?.kill(); // nobody could tell us; the others serve
    await new Promise(resolve => setTimeout(resolve, 3_000));
    const before = [writers.succeeded.size, readers.succeeded.size];
    await until(
      'more',
      () => writers.succeeded.size > Number(before[0]) + 50 && readers.succeeded.size > Number(before[1]) + 50,
    );
    await Promise.all([writers.stop(), readers.stop()]);
    expect([...writers.failed.values(), ...readers.failed.values()]).toEqual([]);
    expect(writers.slowest).toBeLessThan(500);
    expect(readers.slowest).toBeLessThan(500);
  });
});

describe('the Fabric node hangs', () => {
  it('delays little: statements go on with what is known, even while a server is dead', async () => {
    await start(3);
    const address = cluster.fabric.address.xmlrpc;
    const proxy = await FaultProxy.start({ port: Number(address?.port) });
    const fabric = { ...Cluster.fabricAccount, host: '127.0.0.1', port: proxy.port };
    const pool = create({ fabric, connectionLimit: 4, ttl: 0.2 });
    const writers = new Writers(4, token => pool.query(INSERT, [token]));
    const readers = new Writers(4, () => pool.query({ sql: 'SELECT COUNT(*) FROM log', mode: 1 } as never));
    await until('statements', () => writers.succeeded.size > 50 && readers.succeeded.size > 50);
    proxy.blackhole();
    const [secondary] = await cluster.secondaries();
    await secondary?.kill();
    await new Promise(resolve => setTimeout(resolve, 3_000));
    await Promise.all([writers.stop(), readers.stop()]);
    await proxy.stop();
    expect([...writers.failed.values(), ...readers.failed.values()]).toEqual([]);
    expect(Math.max(writers.slowest, readers.slowest)).toBeLessThan(1_500); // not the 2 s that a call may take
  });
});
