import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { faultyToSpare } from '../../src/fabric/procedures/membership.js';
import { accounts, type Mysqld, startMysqlds } from '../../src/testing.js';
import { GROUP, HaGroup, until } from './ha-group.js';

describe('a primary that was lost and comes back', () => {
  let servers: Mysqld[];
  let first: Mysqld;
  let ha: HaGroup;

  beforeAll(async () => {
    servers = await startMysqlds(3);
    [first] = servers as [Mysqld];
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => ha.stop());

  /** An application that never asks where the primary is. */
  async function stubbornWriter() {
    await first.query('CREATE TABLE app.stubborn (id INT PRIMARY KEY AUTO_INCREMENT)');
    const connection = await first.connect({ ...accounts.app, database: 'app' });
    connection.on('error', () => {});
    let refused: unknown;
    const work = (async () => {
      while (refused === undefined) {
        await connection.query('INSERT INTO stubborn () VALUES ()').catch(error => {
          refused = error;
        });
      }
      connection.destroy();
    })();
    return { work };
  }

  test('is fenced, its clients end, and what they wrote meanwhile is listed when it shall become SPARE', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    const { work } = await stubbornWriter();
    await sleep(200);
    first.pause();
    await until(async () => (await ha.record(first)).needsFencing && (await ha.group()).primary !== ha.uuid(first));
    const resumed = performance.now();
    first.resume();
    await work;
    await until(async () => !(await ha.record(first)).needsFencing);
    expect(performance.now() - resumed).toBeLessThan(3_000);
    expect(await ha.expectOnePrimary()).not.toBe(first);
    const fence = first.version.startsWith('5.6') ? 'read_only' : 'super_read_only';
    const [row] = await first.query(`SELECT @@GLOBAL.${fence} AS fenced`);
    expect(Number(row?.fenced)).toBe(1);
    await sleep(1_000); // the fencer takes hold of it
    await first.query(`SET GLOBAL ${fence} = OFF`);
    await first.query('CREATE TABLE app.errant (id INT)');
    expect(await ha.refuse(faultyToSpare({ group: GROUP, server: first.address, updateOnly: false }))).toMatch(
      new RegExp(`^ServerError: Server .* has transactions that the primary lacks: ${ha.uuid(first)}:`),
    );
  });

  test('is fenced again when it restarts while it is FAULTY', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    await sleep(200);
    await first.kill();
    await until(async () => (await ha.group()).primary !== ha.uuid(first));
    await first.start();
    await until(async () => !(await ha.record(first)).needsFencing);
    await ha.expectOnePrimary();
    await sleep(1_000); // the fencer takes hold of it
    await first.restart();
    // Fencing may cut this very connection.
    const ask = () => first.query('SELECT @@GLOBAL.read_only AS fenced').catch(() => []);
    const fenced = async () => Number((await ask())[0]?.fenced) === 1;
    await until(fenced);
    await until(async () => !(await ha.record(first)).needsFencing);
    await ha.expectOnePrimary();
  });

  test('is fenced again when it has restarted while there was no node', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    await sleep(200);
    await first.kill();
    await until(async () => (await ha.group()).primary !== ha.uuid(first));
    await first.start();
    await until(async () => !(await ha.record(first)).needsFencing);
    await ha.unwatched();
    await first.restart();
    expect(await ha.writable()).toContain(first);
    ha.watch();
    await until(async () => !(await ha.writable()).includes(first));
    await ha.expectOnePrimary();
  });

  test('is fenced even when its group is not watched', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    ha.watch();
    await sleep(200);
    await first.kill();
    await until(async () => (await ha.group()).primary !== ha.uuid(first) && !ha.runner.busy(GROUP));
    ha.detector.unwatch(GROUP);
    await first.start();
    await until(async () => !(await ha.record(first)).needsFencing);
    await ha.expectOnePrimary();
  });

  test('a hint makes the detector look at once', async () => {
    ha = new HaGroup(servers, { failureTracking: { detectionInterval: 3600, detections: 1 } });
    await ha.form();
    ha.watch();
    await sleep(200);
    first.pause();
    // Until its replicas miss it, only the node's own eyes could tell.
    await sleep(3_500);
    const hinted = performance.now();
    ha.detector.hint(ha.uuid(first), GROUP);
    await until(async () => (await ha.group()).primary !== ha.uuid(first));
    expect(performance.now() - hinted).toBeLessThan(5_000);
    first.resume();
  });

  test('failures of the node to ask are no failures of the servers: wrong password, too many connections', async () => {
    ha = new HaGroup(servers, { failureTracking: { detectionInterval: 2, detections: 2 } });
    await ha.form();
    ha.watch();
    await sleep(200);
    await first.query('SET GLOBAL max_connections = 10');
    const crowd = await Promise.allSettled(
      Array.from({ length: 30 }, () => first.connect({ ...accounts.app, database: 'app' })),
    );
    await sleep(4_000);
    for (const one of crowd) if (one.status === 'fulfilled') one.value.destroy();
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
    await until(async () =>
      first.query('SET GLOBAL max_connections = 100').then(
        () => true,
        () => false,
      ),
    );
  });
});
