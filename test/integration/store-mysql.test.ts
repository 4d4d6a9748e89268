import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseFabricOptions } from '../../src/fabric/options.js';
import { teardownStorage } from '../../src/fabric/store/create.js';
import { createMysqlDatabase, createMysqlStore, type MysqlSettings } from '../../src/fabric/store/mysql.js';
import { createClaim, lockOf } from '../../src/fabric/store/mysql-claim.js';
import { dropTables } from '../../src/fabric/store/schema.js';
import type { Row, SqlValue } from '../../src/fabric/store/sql-database.js';
import { accounts, FaultProxy, Mysqld } from '../../src/testing.js';
import { durableStoreContract, storeContract } from '../contract/store.contract.js';
import { createFakeNode, createTrio } from '../fakes/fake-node.js';
import { until } from './ha-group.js';

const settingsFor = (server: Mysqld, database: string): MysqlSettings => ({
  ...{ host: '127.0.0.1', port: server.port, database, ...accounts.fabric },
  ...{ connectionTimeout: 2, connectionAttempts: 6, connectionDelay: 0.1 },
});

/** ms: less than a test has. */
const SOON = 12_000;

describe.each(['9.7', '5.6'])('the state store on MySQL %s', version => {
  let server: Mysqld;
  let databases = 0;
  beforeAll(async () => {
    server = await Mysqld.start({ version });
  }, 600_000);
  afterAll(() => server.remove());

  const current = () => settingsFor(server, `state_${databases}`);
  const blank = async () => {
    databases += 1;
    return createMysqlStore(current());
  };
  const again = async () => createMysqlStore(current());
  storeContract(`mysql ${version}`, blank);
  durableStoreContract(`mysql ${version}`, blank, again);

  const group = { id: 'g', description: null, active: true, primary: null, primarySince: null, baseline: null };

  describe('and its server has an accident', () => {
    let victim: Mysqld;
    beforeAll(async () => {
      victim = await Mysqld.start({ version, startTimeout: SOON, stopTimeout: SOON });
    });
    afterAll(() => victim.remove());

    /** What takes too long is named, with what the server says. */
    async function soon<T>(what: string, work: Promise<T>): Promise<T> {
      const timer = new AbortController();
      const late = sleep(SOON, undefined, { signal: timer.signal }).then(() => {
        throw new Error(`${what} took longer than ${SOON} ms; running: ${victim.running}\n${victim.log(20)}`);
      });
      return await Promise.race([work, late]).finally(() => timer.abort());
    }

    test('goes on when its connection was lost, and when the server was restarted', async () => {
      const store = createMysqlStore({ ...settingsFor(victim, 'lost'), connectionAttempts: 100 });
      await store.open();
      let stored = await store.createGroup({ ...group, servers: [] });

      const rows = await victim.query("SELECT id FROM information_schema.processlist WHERE user = 'fabric'");
      for (const { id, ID } of rows) await victim.query(`KILL ${String(id ?? ID)}`);
      stored = await soon('saving after KILL', store.saveGroup({ ...stored, description: 'after the kill' }));
      await soon('the end of the server', victim.kill());
      const writing = store.saveGroup({ ...stored, description: 'after the restart' });
      writing.catch(() => {});
      await soon('the start of the server', victim.start());
      await soon('saving after the restart', writing);
      expect(await store.group('g')).toMatchObject({ description: 'after the restart' });
      await store.close();
    });

    test("stays one node's when that loses its session, and is another's when that was faster", async () => {
      // Not by KILL: 5.6 leaves a killed session waiting now and then, with its lock.
      const proxy = await FaultProxy.start({ port: victim.port });
      const settings = settingsFor(victim, 'claimed');
      const [store, other] = [createMysqlStore({ ...settings, port: proxy.port }), createMysqlStore(settings)];
      const losses: Error[] = [];
      await Promise.all([store.open(), other.open()]);
      await store.claim(error => losses.push(error));
      const holder = async () => (await victim.query(`SELECT IS_USED_LOCK('${lockOf('claimed')}') AS id`))[0]?.id;
      const first = await holder();
      proxy.cut();
      await until(async () => ![null, first].includes(await holder()));
      await expect(other.claim(() => {})).rejects.toThrow('Another node uses the state store claimed on 127.0.0.1:');
      expect(losses).toEqual([]);

      const waiting = other.claim(() => {});
      await sleep(200);
      proxy.cut();
      await waiting;
      await until(async () => losses.length > 0);
      const taken = /^Another node uses the state store claimed on .+ by now: it has taken over from this one\.$/;
      expect(losses.map(({ message }) => message)).toEqual([expect.stringMatching(taken)]);
      await expect(store.createGroup({ ...group, servers: [] })).rejects.toThrow(taken);
      await other.createGroup({ ...group, servers: [] });
      await Promise.all([store.close(), other.close()]);
      await proxy.stop();
    });

    const session = async () => {
      const { user, password } = accounts.fabric;
      const connection = await createConnection({ host: '127.0.0.1', port: victim.port, user, password });
      connection.on('error', () => {});
      const query = async (sql: string, values?: readonly SqlValue[]) =>
        (await connection.query(sql, values && [...values]))[0] as Row[];
      const execute = async (sql: string) => (await query(sql)).length;
      return { connection, id: connection.threadId, query, execute };
    };

    test("stays one node's when the server has not missed its former session yet", async () => {
      const [former, next, other] = await Promise.all([session(), session(), session()]);
      const losses: Error[] = [];
      const claim = createClaim('lingering', 'here');
      await claim.take(former, error => losses.push(error));
      await claim.keep(next);
      await expect(createClaim('lingering', 'here').take(other, () => {})).rejects.toThrow('lingering on here');
      expect(losses).toEqual([]);
      await expect(former.query('SELECT 1')).rejects.toThrow();
      for (const { connection } of [former, next, other]) connection.destroy();
    });

    test("is another node's that has the number of its former session, since the server was restarted", async () => {
      const claim = createClaim('counted', 'here');
      const losses: Error[] = [];
      const former = await session();
      await claim.take(former, error => losses.push(error));
      // A start is told from the next one by its time.
      const uptime = async () => Number((await victim.query("SHOW GLOBAL STATUS LIKE 'Uptime'"))[0]?.Value);
      await until(async () => (await uptime()) > 6);
      await soon('the end of the server', victim.kill());
      await soon('the start of the server', victim.start());
      let other = await session();
      while (other.id < former.id) {
        other.connection.destroy();
        other = await session();
      }
      expect(other.id).toBe(former.id);
      await createClaim('counted', 'here').take(other, () => {});
      const next = await session();
      await expect(claim.keep(next)).rejects.toThrow('it has taken over from this one');
      expect(losses).toHaveLength(1);
      await other.query('SELECT 1');
      for (const { connection } of [other, next]) connection.destroy();
    });

    test.runIf(version === '9.7')('lets its node stop in a bounded time while the server is frozen', async () => {
      const { fabric } = createFakeNode(
        createMysqlStore({ ...settingsFor(victim, 'frozen'), connectionTimeout: 6 }),
        createTrio(),
      );
      await fabric.start();
      victim.pause();
      const call = expect(fabric.call('group.create', 'new')).rejects.toThrow(
        /^ProcedureError: (The node has stopped|This node is stopping)/,
      );
      const began = performance.now();
      await fabric.stop();
      expect(performance.now() - began).toBeLessThan(15_000);
      victim.resume();
      await call;
    });

    test('gives up in a bounded time when the server is gone or frozen, and goes on when it is back', async () => {
      const settings = { connectionTimeout: 1, connectionAttempts: 2 };
      const store = createMysqlStore({ ...settingsFor(victim, 'bounded'), ...settings });
      await store.open();
      const stored = await store.createGroup({ ...group, servers: [] });
      for (const [down, up] of [
        [() => victim.kill(), () => victim.start()],
        [async () => victim.pause(), async () => victim.resume()],
      ] as const) {
        await soon('the end of the server', down());
        const began = performance.now();
        await expect(store.saveRun({} as never)).rejects.toThrow();
        await expect(store.saveGroup(stored)).rejects.toThrow(/cannot be reached|closed|lost/i);
        // Two that wait for each other: each has its own bound, and what waited meanwhile tries but once.
        expect(performance.now() - began).toBeLessThan(12_000);
        await soon('the start of the server', up());
        await until(async () => (await store.group('g').catch(() => undefined)) !== undefined);
      }
      expect((await store.saveGroup(stored)).version).toBeGreaterThan(stored.version);
      await store.close();
    });
  });

  test('refuses what cannot work at once, and never shows the password', async () => {
    const store = createMysqlStore({ ...settingsFor(server, 'x'), password: 'wrong-secret' });
    const began = performance.now();
    const error = await store.open().then(
      () => '',
      (reason: unknown) => String(reason),
    );
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(error).toContain('Access denied');
    expect(error).not.toContain('wrong-secret');
    await store.close();
  });

  test('an upgrade that was cut off is done again', async () => {
    const store = await blank();
    await store.open();
    const created = await store.createGroup({ ...group, servers: [] });
    await store.close();
    const database = createMysqlDatabase(current());
    await database.open();
    await database.alter(async session => void (await session.execute('DELETE FROM fabric_schema WHERE version > 1')));
    await database.close();
    const newer = await again();
    await newer.open();
    expect(await newer.groups()).toEqual([created]);
    await newer.close();
  });

  test('it is torn down only when no node works on it', async () => {
    const store = await blank();
    await store.claim(() => {});
    await store.open();
    const { user, password, database, host, port } = current();
    const { storage } = parseFabricOptions({
      servers: { password },
      protocol: { xmlrpc: { disableAuthentication: true } },
      storage: { type: 'mysql', address: `${host}:${port}`, user, password, database },
    });
    await expect(teardownStorage(storage)).rejects.toThrow('Another node uses the state store');
    await store.createGroup({ ...group, servers: [] });
    await store.close();
    expect(await teardownStorage(storage)).toBe(true);
    const next = await again();
    await next.open();
    expect(await next.groups()).toEqual([]);
    await next.close();
  });

  test('its tables can be dropped, and are made anew', async () => {
    const store = await blank();
    await store.open();
    await store.createGroup({ ...group, servers: [] });
    await store.close();
    const database = createMysqlDatabase(current());
    await database.open();
    await database.alter(dropTables);
    expect(await database.look(session => session.query("SHOW TABLES LIKE 'fabric%'"))).toEqual([]);
    await database.close();
    const second = await again();
    await second.open();
    expect(await second.groups()).toEqual([]);
    await second.close();
  });
});
