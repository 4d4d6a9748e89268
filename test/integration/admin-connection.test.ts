import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import { formatGtidSet, parseGtidSet, subtract } from '../../src/fabric/replication/gtid.js';
import { AdminError, type ManagedServer, type ReplicaStatus } from '../../src/fabric/replication/replication.js';
import { accounts, Mysqld, SERVER_VERSIONS, startMysqlds } from '../../src/testing.js';

const TIMEOUT = 3_000;
const replication = createReplication(accounts.fabric);
const addressOf = ({ host, port }: Mysqld) => ({ host, port });

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function manage(server: Mysqld, account = accounts.fabric as { user: string; password: string }) {
  const managed = await createReplication(account).connect(addressOf(server), TIMEOUT);
  open.push(managed);
  return managed;
}

/** A client's session; being killed is part of its life here. */
async function client(server: Mysqld, account: keyof typeof accounts = 'app'): Promise<Connection> {
  const connection = await server.connect({ ...accounts[account], database: 'app' });
  connection.on('error', () => {});
  open.push({ close: () => connection.destroy() });
  return connection;
}

async function openTransaction(server: Mysqld, account: keyof typeof accounts): Promise<Connection> {
  const connection = await client(server, account);
  await connection.beginTransaction();
  await connection.query('INSERT INTO t (v) VALUES (99)');
  return connection;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** ms until the replica's status is as wanted; the test's own bound ends it otherwise. */
function untilStatus(replica: ManagedServer, wanted: (status: ReplicaStatus | null) => boolean): Promise<number> {
  return timed(async () => {
    while (!wanted(await replica.replicaStatus())) await sleep(5);
  });
}

function failureOf(promise: Promise<unknown>): Promise<AdminError> {
  return promise.then(
    () => expect.fail('it was expected to fail'),
    error => {
      expect(error).toBeInstanceOf(AdminError);
      return error as AdminError;
    },
  );
}

describe.each(SERVER_VERSIONS)('MySQL %s', version => {
  let primary: Mysqld;
  let replica: Mysqld;
  let third: Mysqld;

  beforeAll(async () => {
    [primary, replica, third] = (await startMysqlds(3, { version })) as [Mysqld, Mysqld, Mysqld];
  });
  beforeEach(async () => {
    await Promise.all([primary, replica, third].map(server => server.reset()));
    await primary.query('CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE = InnoDB');
  });
  afterAll(() => Mysqld.stopAll());

  const superReadOnly = (on: boolean) => (version === '5.6' ? null : on);

  describe('identity and requirements', () => {
    it('says who it is', async () => {
      const [row] = await primary.query('SELECT @@server_uuid AS uuid, VERSION() AS version');
      const managed = await manage(primary);
      expect(await managed.identity()).toEqual({ ...row, readOnly: false, superReadOnly: superReadOnly(false) });
      await managed.fence();
      expect(await managed.identity()).toMatchObject({ readOnly: true, superReadOnly: superReadOnly(true) });
      expect(managed.address).toEqual(addressOf(primary));
      await managed.ping();
    });

    it('accepts a good server', async () => {
      expect(await (await manage(primary)).requirementIssues()).toEqual([]);
    });

    it('names what a server without GTIDs and binary log lacks', async () => {
      const off = version === '5.6' ? ['--skip-log-slave-updates'] : ['--skip-log-replica-updates'];
      const options = ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF', '--skip-log-bin', ...off];
      const server = await Mysqld.start({ version, options });
      onTestFinished(() => server.remove());
      const issues = (await (await manage(server)).requirementIssues()).join('\n');
      for (const name of ['log_bin', 'gtid_mode', 'enforce_gtid_consistency'])
        expect(issues).toContain(`${name} must be ON but is OFF`);
      expect(issues).toMatch(/log_(replica|slave)_updates must be ON but is OFF/);
    });

    it('is content with an account that has the required privileges only, and can do everything with it', async () => {
      const privileges = 'RELOAD, PROCESS, REPLICATION SLAVE, REPLICATION CLIENT';
      const rest = version === '5.6' ? 'SUPER' : 'SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, REPLICATION_SLAVE_ADMIN';
      await addAccount([primary, replica], 'modest', 'm0dest', `${privileges}, ${rest}`);
      const [source, target] = await Promise.all(
        [primary, replica].map(server => manage(server, { user: 'modest', password: 'm0dest' })),
      );
      expect(await source?.requirementIssues()).toEqual([]);
      await target?.follow(addressOf(primary));
      await source?.fence();
      expect(await target?.waitForExecuted((await source?.executed()) ?? '', 1_000)).toBe(true);
      await target?.forgetSource();
      await target?.unfence();
      await client(primary);
      await client(primary, 'root');
      // From 8.0.16 on root has SYSTEM_USER, so that only its like may kill it.
      expect(await source?.killClients()).toBe(version === '5.6' ? 2 : 1);
    });

    it('names the privileges that an account lacks', async () => {
      await addAccount([primary], 'poor', 'p00r', 'SELECT, REPLICATION CLIENT');
      const issues = await (await manage(primary, { user: 'poor', password: 'p00r' })).requirementIssues();
      expect(issues[0]).toBe('The account lacks the privilege REPLICATION SLAVE ON *.*');
      expect(issues).toHaveLength(version === '5.6' ? 4 : 6);
    });
  });

  describe('fencing', () => {
    it.each(['app', 'root'] as const)('makes the open transaction of %s fail', async account => {
      const session = await openTransaction(primary, account);
      const managed = await manage(primary);
      await managed.fence();
      await expect(session.commit()).rejects.toThrow();
      await expect((await client(primary)).query('INSERT INTO t (v) VALUES (1)')).rejects.toMatchObject({
        errno: 1290,
      });
      await managed.fence();
      await managed.unfence();
      expect(await primary.query('SELECT * FROM app.t')).toEqual([]);
      await (await client(primary)).query('INSERT INTO t (v) VALUES (1)');
      expect(await managed.identity()).toMatchObject({ readOnly: false, superReadOnly: superReadOnly(false) });
    });

    it.each([
      ['LOCK TABLES', 'root', 'LOCK TABLES t WRITE'],
      ['a long statement', 'app', 'INSERT INTO t (v) SELECT SLEEP(60)'],
    ] as const)('gives %s a second, then kills', async (_, account, statement) => {
      const session = await client(primary, account);
      const blocking = session.query(statement).catch(() => {});
      await sleep(100);
      const managed = await manage(primary);
      const ms = await timed(() => managed.fence());
      expect(ms).toBeGreaterThan(900);
      expect(ms).toBeLessThan(2_500);
      await blocking;
      await expect(session.query('SELECT 1')).rejects.toThrow();
    });

    it('kills clients, but neither replication nor its own account', async () => {
      const [source, target] = [await manage(primary), await manage(replica)];
      await target.follow(addressOf(primary));
      const own = await client(primary, 'fabric');
      const clients = await Promise.all([client(primary), client(primary), client(primary, 'root')]);
      expect(await source.killClients()).toBe(3);
      for (const each of clients) await expect(each.query('SELECT 1')).rejects.toThrow();
      await own.query('SELECT 1');
      expect(await source.killClients()).toBe(0);
      expect(await target.killClients()).toBe(0);
      expect(await target.replicaStatus()).toMatchObject({ ioThread: 'running', sqlThread: 'running' });
    });

    it('leaves alone who is just connecting, and may be its own', async () => {
      const source = await manage(primary);
      const socket = connect({ host: primary.host, port: primary.port });
      let ended = false;
      socket.on('close', () => {
        ended = true;
      });
      await once(socket, 'data'); // the greeting
      await source.fence();
      await source.killClients();
      await source.ping();
      expect(ended).toBe(false);
      socket.destroy();
      await source.unfence();
    });
  });

  describe('following', () => {
    it('receives what the source writes, and stays read-only', async () => {
      const [source, target] = [await manage(primary), await manage(replica)];
      expect(await target.replicaStatus()).toBeNull();
      await target.follow(addressOf(primary));
      await (await client(primary)).query('INSERT INTO t (v) VALUES (7)');
      expect(await target.waitForExecuted(await source.executed(), 2_000)).toBe(true);
      expect(await replica.query('SELECT v FROM app.t')).toEqual([{ v: 7 }]);
      expect(await target.identity()).toMatchObject({ readOnly: true, superReadOnly: superReadOnly(true) });
      expect(await target.replicaStatus()).toMatchObject({
        source: addressOf(primary),
        sourceUuid: (await source.identity()).uuid,
        ioThread: 'running',
        sqlThread: 'running',
        ioErrno: 0,
        sqlErrno: 0,
        ioError: '',
        retrieved: await source.executed(),
      });
    });

    it('interrupts nothing when it follows already, but makes the server read-only again', async () => {
      const target = await manage(replica);
      await target.follow(addressOf(primary));
      const dumps = () =>
        primary.query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'");
      const before = await dumps();
      await target.unfence();
      await target.follow(addressOf(primary));
      expect(await dumps()).toEqual(before);
      expect((await target.identity()).readOnly).toBe(true);
    });

    it('changes from one source to another, stops, and starts applying alone', async () => {
      const target = await manage(replica);
      await target.follow(addressOf(primary));
      await target.follow(addressOf(third));
      expect(await target.replicaStatus()).toMatchObject({ source: addressOf(third), ioThread: 'running' });
      await target.stopReceiving();
      expect(await target.replicaStatus()).toMatchObject({ ioThread: 'stopped', sqlThread: 'running' });
      await target.stopReplication();
      expect(await target.replicaStatus()).toMatchObject({
        ioThread: 'stopped',
        sqlThread: 'stopped',
        secondsBehind: null,
      });
      await target.startApplying();
      expect(await target.replicaStatus()).toMatchObject({ ioThread: 'stopped', sqlThread: 'running' });
      await target.forgetSource();
      expect(await target.replicaStatus()).toBeNull();
      await target.stopReplication();
      await target.forgetSource();
    });

    it('rejects with the reason and without the secret when the source refuses the account', async () => {
      await addAccount([replica], 'keeper', "S3cr3t'pass", 'ALL PRIVILEGES');
      const target = await manage(replica, { user: 'keeper', password: "S3cr3t'pass" });
      const error = await failureOf(target.follow(addressOf(primary)));
      expect(error).toMatchObject({ code: 'REPLICA_IO_ERROR', unreachable: false });
      expect(error.message).toContain('1045');
      expectNoSecret(error, 'S3cr3t');
    });

    it('tells of a password that replication cannot take, without showing it', async () => {
      const password = `S3cr3t${'x'.repeat(40)}`;
      await addAccount([replica], 'keeper', password, 'ALL PRIVILEGES');
      const target = await manage(replica, { user: 'keeper', password });
      expect((await target.requirementIssues())[0]).toContain('at most 32 characters');
      const error = await failureOf(target.follow(addressOf(primary)));
      expect(error).toMatchObject({
        code: version === '5.6' ? 'REPLICA_IO_ERROR' : 'ER_CHANGE_SOURCE_PASSWORD_LENGTH',
        unreachable: false,
      });
      expectNoSecret(error, 'S3cr3t');
    });

    it('rejects when the source lacks what the replica asks for', async () => {
      await primary.query('FLUSH BINARY LOGS');
      const [last] = (await primary.query('SHOW BINARY LOGS')).slice(-1);
      await primary.query('PURGE BINARY LOGS TO ?', [last?.Log_name]);
      const error = await failureOf((await manage(replica)).follow(addressOf(primary)));
      expect(error.code).toBe('REPLICA_IO_ERROR');
    });
  });

  describe('waiting', () => {
    const missing = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1';

    it('is short when there is nothing to wait for', async () => {
      const managed = await manage(primary);
      expect(
        await timed(async () => expect(await managed.waitForExecuted(await managed.executed(), 1_000)).toBe(true)),
      ).toBeLessThan(200);
      expect(await managed.waitForExecuted('', 1_000)).toBe(true);
    });

    it('ends with false at its bound, or at once when nobody applies', async () => {
      const target = await manage(replica);
      await target.follow(addressOf(primary));
      const bounded = await timed(async () => expect(await target.waitForExecuted(missing, 300)).toBe(false));
      expect(bounded).toBeGreaterThan(290);
      await target.stopReplication();
      const stopped = await timed(async () => expect(await target.waitForExecuted(missing, 5_000)).toBe(false));
      expect(stopped).toBeLessThan(300);
    });
  });

  describe('GTIDs', () => {
    it('come from no administrative operation', async () => {
      const [source, target] = [await manage(primary), await manage(replica)];
      const before = await source.executed();
      await client(primary);
      await source.fence();
      await source.killClients();
      await source.setSemiSync('primary');
      await source.unfence();
      await target.fence();
      await target.unfence();
      await target.follow(addressOf(primary));
      await target.setSemiSync('secondary');
      await target.waitForExecuted(before, 1_000);
      await target.stopReceiving();
      await target.startApplying();
      await target.stopReplication();
      await target.forgetSource();
      await target.unfence();
      expect(await source.executed()).toBe(before);
      expect(await target.executed()).toBe(before);
    });

    it('of a server that wrote for itself are found', async () => {
      const [source, target] = [await manage(primary), await manage(replica)];
      await target.follow(addressOf(primary));
      await target.waitForExecuted(await source.executed(), 2_000);
      await target.forgetSource();
      await target.unfence();
      await (await client(replica)).query('INSERT INTO t (v) VALUES (13)');
      const errant = subtract(parseGtidSet(await target.executed()), parseGtidSet(await source.executed()));
      expect(formatGtidSet(errant)).toBe(`${(await target.identity()).uuid}:1`);
    });
  });

  describe('a source that fails', () => {
    it('is noticed at once when it is killed', async () => {
      const target = await manage(replica);
      await target.follow(addressOf(primary));
      onTestFinished(() => primary.start());
      await primary.kill();
      expect(await untilStatus(target, status => status?.ioThread === 'connecting')).toBeLessThan(1_000);
      expect((await failureOf(replication.connect(addressOf(primary), 500))).code).toBe('ECONNREFUSED');
      await primary.start();
      expect(await untilStatus(target, status => status?.ioThread === 'running')).toBeLessThan(4_000);
    });

    it('is noticed within four seconds when it freezes; the replica can be stopped then and follow another', async () => {
      const target = await manage(replica);
      await target.follow(addressOf(primary));
      onTestFinished(() => primary.resume());
      primary.pause();
      expect(await untilStatus(target, status => status?.ioThread === 'connecting')).toBeLessThan(4_000);
      expect(await timed(() => target.stopReceiving())).toBeLessThan(4_000);
      await target.follow(addressOf(third));
    });
  });

  describe('a server that does not answer', () => {
    it('makes connecting and every call fail at their bound, and is reported lost once', async () => {
      const managed = await replication.connect(addressOf(primary), 400);
      open.push(managed);
      let lost = 0;
      managed.onLost(() => {
        lost += 1;
      });
      onTestFinished(() => primary.resume());
      primary.pause();
      const connecting = await timed(async () => {
        expect(await failureOf(replication.connect(addressOf(primary), 500))).toMatchObject({
          code: 'ETIMEDOUT',
          unreachable: true,
        });
      });
      expect(connecting).toBeGreaterThan(450);
      expect(connecting).toBeLessThan(900);
      const calling = await timed(async () => {
        expect(await failureOf(managed.identity())).toMatchObject({ code: 'ETIMEDOUT', unreachable: true });
      });
      expect(calling).toBeLessThan(800);
      expect(await failureOf(managed.ping())).toMatchObject({ unreachable: true });
      await sleep(20);
      expect(lost).toBe(1);
    });

    it('is reported lost when it is killed, also to those who ask later; not when we close', async () => {
      const [watched, closed] = [await manage(primary), await manage(primary)];
      const lost: string[] = [];
      watched.onLost(() => lost.push('watched'));
      closed.onLost(() => lost.push('closed'));
      closed.close();
      expect(await failureOf(closed.ping())).toMatchObject({ unreachable: true });
      onTestFinished(() => primary.start());
      const call = failureOf(
        watched.waitForExecuted('3e11fa47-71ca-11e1-9e33-c80aa9429562:1', 5_000).then(() => watched.ping()),
      );
      await primary.kill();
      expect(await call).toMatchObject({ unreachable: true });
      watched.onLost(() => lost.push('late'));
      await sleep(20);
      expect(lost).toEqual(['watched', 'late']);
    });

    it('fails what is under way when the session is closed', async () => {
      const managed = await manage(primary);
      const waiting = failureOf(managed.waitForExecuted('3e11fa47-71ca-11e1-9e33-c80aa9429562:1', 5_000));
      const asking = failureOf(managed.identity());
      managed.close();
      managed.close();
      const ms = await timed(async () => expect(await asking).toMatchObject({ unreachable: true }));
      expect(await waiting).toMatchObject({ unreachable: true });
      expect(ms).toBeLessThan(200);
    });

    it('that lacks TLS is not taken for dead; where there is TLS it is used', async () => {
      const ssl = { rejectUnauthorized: version === '5.6' };
      const connecting = createReplication({ ...accounts.fabric, connectOptions: { ssl } }).connect(
        addressOf(primary),
        TIMEOUT,
      );
      if (version === '5.6') {
        expect(await failureOf(connecting)).toMatchObject({ code: 'HANDSHAKE_NO_SSL_SUPPORT', unreachable: false });
        return;
      }
      const managed = await connecting;
      open.push(managed);
      await managed.ping();
      const asking = failureOf(managed.identity());
      managed.close();
      expect(await asking).toMatchObject({ unreachable: true });
    });

    it('tells a refused account from an unreachable server', async () => {
      const refused = createReplication({ user: 'fabric', password: 'S3cr3t-wrong' }).connect(
        addressOf(primary),
        TIMEOUT,
      );
      const error = await failureOf(refused);
      expect(error).toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR', unreachable: false, address: addressOf(primary) });
      expectNoSecret(error, 'S3cr3t');
    });
  });
});

describe('semi-synchronous replication', () => {
  it('switches the right side on, also in a receiver that runs already', async () => {
    const servers = (await startMysqlds(2, { version: '9.7', semiSync: true })) as [Mysqld, Mysqld];
    onTestFinished(async () => {
      await Promise.all(servers.map(server => server.remove()));
    });
    const [source, target] = [await manage(servers[0]), await manage(servers[1])];
    const value = async (server: Mysqld, name: string) =>
      (await server.query('SHOW GLOBAL STATUS LIKE ?', [name]))[0]?.Value;
    await target.follow(addressOf(servers[0]));
    await target.setSemiSync('secondary');
    await source.setSemiSync('primary');
    while ((await value(servers[0], 'Rpl_semi_sync_source_clients')) !== '1') await sleep(10);
    await servers[0].query('CREATE TABLE app.s (id INT PRIMARY KEY)');
    expect(await value(servers[0], 'Rpl_semi_sync_source_yes_tx')).toBe('1');
    await source.setSemiSync('secondary');
    expect(
      await servers[0].query('SELECT @@rpl_semi_sync_source_enabled AS a, @@rpl_semi_sync_replica_enabled AS b'),
    ).toEqual([{ a: 0, b: 1 }]);
  });
});

describe('something that accepts connections and says nothing', () => {
  let mute: Server;
  beforeAll(async () => {
    mute = createServer(() => {});
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    mute.close();
  });

  it('is left at the timeout', async () => {
    const { port } = mute.address() as { port: number };
    const ms = await timed(async () => {
      const error = await failureOf(replication.connect({ host: '127.0.0.1', port }, 200));
      expect(error).toMatchObject({ code: 'ETIMEDOUT', unreachable: true });
    });
    expect(ms).toBeLessThan(500);
  });
});

async function addAccount(servers: Mysqld[], user: string, password: string, privileges: string): Promise<void> {
  const each = async (work: (connection: Connection) => Promise<unknown>) => {
    for (const server of servers) {
      const connection = await server.connect();
      await connection.query('SET SESSION sql_log_bin = 0');
      await work(connection);
      connection.destroy();
    }
  };
  onTestFinished(() =>
    each(async connection => {
      await connection.query('SET GLOBAL read_only = OFF');
      await connection.query("DROP USER ?@'%'", [user]);
    }),
  );
  await each(async connection => {
    await connection.query("CREATE USER ?@'%' IDENTIFIED BY ?", [user, password]);
    await connection.query(`GRANT ${privileges} ON *.* TO ?@'%'`, [user]);
  });
}

function expectNoSecret(error: Error, secret: string): void {
  const shown = [
    inspect(error, { depth: 9, showHidden: true }),
    JSON.stringify(error),
    String(error),
    inspect(error.cause),
    error.stack,
  ];
  expect(shown.join('\n')).not.toContain(secret);
}
