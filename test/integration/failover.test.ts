import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { declareFaulty } from '../../src/fabric/procedures/declare-faulty.js';
import { promote } from '../../src/fabric/procedures/promote.js';
import type { Replication } from '../../src/fabric/replication/replication.js';
import { FaultProxy, type Mysqld, startMysqlds } from '../../src/testing.js';
import { GROUP, HaGroup, until } from './ha-group.js';

const report = (server: string, updateOnly = false) =>
  declareFaulty({ group: GROUP, server, reporter: 'test', error: '2013', updateOnly, respectFailoverInterval: false });
const auto = () => promote({ group: GROUP, candidate: null, updateOnly: false });

describe.each(['9.7', '5.6'])('failover on MySQL %s', version => {
  let servers: Mysqld[];
  let first: Mysqld;
  let second: Mysqld;
  let third: Mysqld;
  let ha: HaGroup;

  beforeAll(async () => {
    servers = await startMysqlds(3, { version });
    [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => ha.stop());

  const newPrimary = async () => {
    const { primary, servers: records } = await ha.group();
    return records.some(({ uuid, status }) => uuid === primary && status === 3) && primary !== ha.uuid(first);
  };

  test('a killed primary has a successor at once', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    const writer = ha.writer();
    await writer.start();
    await until(async () => writer.acknowledged.length > 50);
    const killed = performance.now();
    await first.kill();
    await until(newPrimary);
    console.log(
      `failover on ${first.version}: ${Math.round(performance.now() - killed)} ms from kill -9 to the new primary`,
    );
    const { length } = writer.acknowledged;
    await until(async () => writer.acknowledged.length > length + 50);
    await writer.stop();
    await until(async () => !ha.runner.busy(GROUP));
    expect((await ha.statuses()).sort()).toEqual(['FAULTY', 'PRIMARY', 'SECONDARY']);
    await ha.expectOnePrimary();
    await first.start();
    await until(async () => !(await ha.record(first)).needsFencing);
    await ha.expectOnePrimary();
  });

  test('a frozen primary is found, and fenced when it goes on', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    await sleep(300);
    const frozen = performance.now();
    first.pause();
    await until(newPrimary);
    console.log(
      `failover on ${first.version}: ${Math.round(performance.now() - frozen)} ms from SIGSTOP to the new primary`,
    );
    expect(performance.now() - frozen).toBeLessThan(8_000);
    const resumed = performance.now();
    first.resume();
    await until(async () => !(await ha.record(first)).needsFencing);
    console.log(`fencing on ${first.version}: ${Math.round(performance.now() - resumed)} ms from SIGCONT`);
    await ha.expectOnePrimary();
  });

  test('a false report costs no acknowledged write', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const writer = ha.writer();
    await writer.start();
    await until(async () => writer.acknowledged.length > 100);
    await ha.do(report(first.address));
    const { length } = writer.acknowledged;
    await until(async () => writer.acknowledged.length > length + 50);
    await writer.stop();
    const primary = await ha.expectOnePrimary();
    expect(primary).not.toBe(first);
    expect(await writer.lostOn(primary)).toEqual([]);
    expect((await ha.statuses())[0]).toBe('FAULTY');
  });

  test('a false report when nobody can take over leaves the primary in service', async () => {
    ha = new HaGroup([first]);
    await ha.form();
    expect(await ha.refuse(report(ha.uuid(first)))).toMatch(/^GroupError: There is no valid candidate/);
    expect(await ha.expectOnePrimary()).toBe(first);
  });

  test('update_only marks and fences, and a later promote does the rest', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    await ha.do(report(ha.uuid(first), true));
    expect((await ha.group()).primary).toBe(ha.uuid(first));
    expect(await ha.writable()).toEqual([]);
    await ha.do(auto());
    expect(await ha.expectOnePrimary()).not.toBe(first);
  });

  test('a killed secondary becomes FAULTY after the detections', async () => {
    ha = new HaGroup(servers, { failureTracking: { detectionInterval: 2, detections: 2 } });
    await ha.form();
    ha.watch();
    await sleep(200);
    await third.kill();
    await until(async () => (await ha.record(third)).status === 0);
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'FAULTY']);
    expect(await ha.expectOnePrimary()).toBe(first);
  });

  test('a secondary that restarts quickly is read-only and follows again; with errant transactions it is FAULTY', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    await sleep(200);
    await second.kill();
    await second.start();
    // Fencing may cut these very connections.
    const ask = (sql: string) => second.query(sql).catch(() => []);
    await until(async () => Number((await ask('SELECT @@GLOBAL.read_only AS fenced'))[0]?.fenced) === 1);
    await first.query('CREATE TABLE app.after_restart (id INT)');
    await until(async () => (await ask("SHOW TABLES IN app LIKE 'after_restart'")).length === 1);
    await third.query('SET GLOBAL read_only = OFF');
    await third.query('CREATE TABLE app.errant (id INT)');
    await third.kill();
    await third.start();
    await until(async () => (await ha.record(third)).status === 0);
    expect(ha.sentences.join('\n')).toContain(`${ha.uuid(third)}:1`);
    expect(await ha.statuses(), ha.sentences.join('\n')).toEqual(['PRIMARY', 'SECONDARY', 'FAULTY']);
  });

  test('a secondary that restarted while no node was watching is fenced, and follows', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    await second.restart();
    await third.query(version === '5.6' ? 'STOP SLAVE' : 'STOP REPLICA');
    await third.query(version === '5.6' ? 'RESET SLAVE ALL' : 'RESET REPLICA ALL');
    const [fence] = await second.query('SELECT @@GLOBAL.read_only AS fenced');
    expect(Number(fence?.fenced)).toBe(0);
    ha.watch();
    const ask = (server: Mysqld, sql: string) => server.query(sql).catch(() => []);
    await until(async () => Number((await ask(second, 'SELECT @@GLOBAL.read_only AS fenced'))[0]?.fenced) === 1);
    await first.query('CREATE TABLE app.after_restart (id INT)');
    for (const server of [second, third]) {
      await until(async () => (await ask(server, "SHOW TABLES IN app LIKE 'after_restart'")).length === 1);
    }
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
  });

  test('secondaries with errant transactions are not promoted, and the message lists them', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    for (const server of [second, third]) {
      await server.query('SET GLOBAL read_only = OFF');
      await server.query('CREATE TABLE app.errant (id INT)');
    }
    await first.kill();
    const error = await ha.refuse(report(ha.uuid(first)));
    expect(error).toMatch(/^GroupError: There is no valid candidate/);
    for (const server of [second, third]) expect(error).toContain(`${ha.uuid(server)}:1`);
    expect(await ha.statuses()).toEqual(['FAULTY', 'SECONDARY', 'SECONDARY']);
    expect((await ha.group()).primary).toBe(ha.uuid(first));
  });

  test('a failed failover is tried again, and the returned primary takes the writes when there is nobody else', async () => {
    ha = new HaGroup([first, second]);
    await ha.form();
    await ha.change(second, { status: 1, mode: 0 });
    ha.watch();
    await sleep(200);
    await first.kill();
    await until(async () => (await ha.record(first)).status === 0);
    await first.start();
    await until(async () => (await ha.record(first)).status === 3);
    expect(await ha.expectOnePrimary()).toBe(first);
  });
});

/** The MySQL 5.6 that is fetched comes without the plugins. */
const hasSemiSync = process.env.FABRIC_TEST_MYSQL !== '5.6';

describe.runIf(hasSemiSync)('failover with semi-synchronous replication', () => {
  test('loses no acknowledged write', async () => {
    const servers = await startMysqlds(3, { semiSync: true });
    const ha = new HaGroup(servers);
    try {
      await ha.form();
      ha.watch();
      const writer = ha.writer();
      await writer.start();
      for (let round = 0; round < 2; round += 1) {
        const { length } = writer.acknowledged;
        await until(async () => writer.acknowledged.length > length + 100);
        const old = ha.serverOf((await ha.group()).primary);
        await old.kill();
        await until(async () => (await ha.group()).primary !== ha.uuid(old));
      }
      const { length } = writer.acknowledged;
      await until(async () => writer.acknowledged.length > length, 15_000);
      await writer.stop();
      expect(await writer.lostOn(await ha.expectOnePrimary())).toEqual([]);
    } finally {
      await ha.stop();
      await Promise.all(servers.map(server => server.remove()));
    }
  }, 60_000);
});

describe('a network that is cut between the node and the primary only', () => {
  test('costs nothing as long as a replica hears from the primary, and a failover when none does', async () => {
    const servers = await startMysqlds(3);
    const [first] = servers as [Mysqld, Mysqld, Mysqld];
    const proxy = await FaultProxy.start({ port: first.port });
    const wrap = (real: Replication): Replication => ({
      connect: (address, timeout) =>
        real.connect(address.port === first.port ? { host: first.host, port: proxy.port } : address, timeout),
    });
    const ha = new HaGroup(servers, { wrap, failureTracking: { detectionInterval: 2, detections: 2 } });
    try {
      await ha.form();
      ha.watch();
      const writer = ha.writer();
      await writer.start();
      await sleep(500);
      proxy.blackhole();
      proxy.cut();
      await sleep(5_000);
      expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
      expect(ha.sentences.join('\n')).toContain('2 of its replicas hear from it');
      expect(writer.longestPause).toBeLessThan(500);
      await writer.stop();
      await first.kill();
      await until(async () => (await ha.statuses())[0] === 'FAULTY' && !ha.runner.busy(GROUP));
      expect(await ha.expectOnePrimary()).not.toBe(first);
    } finally {
      await ha.stop();
      await proxy.stop();
      await Promise.all(servers.map(server => server.remove()));
    }
  });
});
