import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { accounts, type Mysqld, startMysqlds } from '../../src/testing.js';
import { HaGroup, until } from './ha-group.js';

/** A primary that was away for a moment and is not replaced, on servers that start read-only, as the documentation advises. */

const QUICK = { detectionInterval: 1, detections: 2 };
/** Nobody takes over from the primary. */
const PROTECTED = { failureTracking: { ...QUICK, failoverInterval: 3_600 } };
/** ms after which a start is another one for sure: a server tells how long it runs in whole seconds. */
const OLDER = 3_200;

describe.each(['9.7', '5.6'])('a primary that restarts, on MySQL %s', version => {
  let servers: Mysqld[];
  let first: Mysqld;
  let second: Mysqld;
  let third: Mysqld;
  let ha: HaGroup;

  beforeAll(async () => {
    servers = await startMysqlds(3, { version, options: { 'read-only': 'ON' } });
    [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => ha.stop());

  const readOnly = async (server: Mysqld) => {
    const [row] = await server.query('SELECT @@GLOBAL.read_only AS value').catch(() => []);
    return row === undefined ? undefined : Number(row.value) === 1;
  };
  const administrators = async (server: Mysqld) => {
    const rows = await server.query('SHOW PROCESSLIST');
    return rows.filter(row => row.User === accounts.fabric.user && row.Command !== 'Binlog Dump GTID');
  };

  test('takes the writes again when nobody has taken over', async () => {
    ha = new HaGroup(servers, PROTECTED);
    await ha.form();
    ha.watch();
    await until(async () => (await administrators(first)).length > 0);
    await sleep(OLDER);
    for (let round = 0; round < 2; round += 1) {
      await first.kill();
      await first.start();
      expect(await readOnly(first)).toBe(true);
      await until(async () => (await readOnly(first)) === false);
      await sleep(OLDER);
    }
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
    expect(await ha.expectOnePrimary()).toBe(first);
    await until(async () => (await second.query("SHOW TABLES IN app LIKE 'probe'")).length === 1);
  });

  test('takes them again when no node was watching, and when it is alone', async () => {
    ha = new HaGroup([first], { failureTracking: QUICK });
    await ha.form();
    await sleep(OLDER);
    await first.kill();
    await first.start();
    expect(await readOnly(first)).toBe(true);
    ha.watch();
    await until(async () => (await readOnly(first)) === false);
    expect(await ha.expectOnePrimary()).toBe(first);
  });

  test('is the primary of all others again after a power cut that the node went through, too', async () => {
    ha = new HaGroup(servers, { failureTracking: QUICK });
    await ha.form();
    await sleep(OLDER);
    await Promise.all(servers.map(server => server.kill()));
    await Promise.all(servers.map(server => server.start()));
    ha.watch();
    await until(async () => (await readOnly(first)) === false);
    await first.query('CREATE TABLE app.later (id INT)');
    for (const server of [second, third]) {
      await until(async () => (await server.query("SHOW TABLES IN app LIKE 'later'").catch(() => [])).length === 1);
    }
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
    expect(await ha.expectOnePrimary()).toBe(first);
  });

  test('stays read-only when it has not restarted: an operator has made it so', async () => {
    ha = new HaGroup(servers, { failureTracking: QUICK });
    await ha.form();
    ha.watch();
    await until(async () => (await administrators(first)).length > 0);
    await first.query('SET GLOBAL read_only = ON');
    const lost = await administrators(first);
    // A probe's own connection may have ended by now.
    for (const { Id } of lost) await first.query(`KILL ${Id}`).catch(() => {});
    const ids = new Set(lost.map(({ Id }) => Id));
    await until(async () => (await administrators(first)).some(({ Id }) => !ids.has(Id)));
    await sleep(1_500);
    expect(await readOnly(first)).toBe(true);
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
  });

  test('is replaced when it has lost transactions that a secondary has', async () => {
    ha = new HaGroup(servers, PROTECTED);
    await ha.form();
    await first.query('CREATE TABLE app.saved (id INT)');
    await until(async () => (await second.query("SHOW TABLES IN app LIKE 'saved'")).length === 1);
    await sleep(OLDER);
    await first.kill();
    await first.start();
    for (const server of [second, third]) await server.query(version === '5.6' ? 'STOP SLAVE' : 'STOP REPLICA');
    await first.query(version === '5.6' ? 'RESET MASTER' : 'RESET BINARY LOGS AND GTIDS');
    ha.watch();
    await until(async () => (await ha.statuses())[0] === 'FAULTY' && (await ha.writable()).length === 1);
    const primary = await ha.expectOnePrimary();
    expect(primary).not.toBe(first);
    expect(await primary.query("SHOW TABLES IN app LIKE 'saved'")).toHaveLength(1);
    expect(ha.sentences.join('\n')).toContain(`lost transactions: ${ha.uuid(first)}:`);
  });

  test('waits until each secondary is compared, or FAULTY', async () => {
    ha = new HaGroup(servers, PROTECTED);
    await ha.form();
    await sleep(OLDER);
    await first.kill();
    await first.start();
    await third.kill();
    ha.watch();
    await until(async () => (await readOnly(first)) === false);
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'FAULTY']);
    expect(await ha.expectOnePrimary()).toBe(first);
  });
});
