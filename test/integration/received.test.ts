import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { MODE_OFFLINE, STATUS_PRIMARY, STATUS_SPARE } from '../../src/wire/topology.js';
import { HaGroup, until } from './ha-group.js';

/** What a secondary has received, and its primary was perhaps told so, is not lost because it takes long to apply. */

/** ms */
const FAILOVER = 60_000;

describe.each(['9.7', '5.6'])('on MySQL %s', version => {
  const semiSync = version === '9.7';
  let servers: [Mysqld, Mysqld, Mysqld];
  let ha: HaGroup;
  beforeAll(async () => {
    servers = (await startMysqlds(3, { version, ...(semiSync && { semiSync }) })) as typeof servers;
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  beforeEach(() => Promise.all(servers.map(server => server.start())));
  afterEach(() => ha.stop());

  async function form(members: readonly Mysqld[]): Promise<void> {
    ha = new HaGroup(members);
    await ha.form();
    ha.watch();
    await servers[0].query('CREATE TABLE app.slow (id INT PRIMARY KEY, slept INT) ENGINE = InnoDB');
  }
  /** A transaction that takes so long on each secondary. Resolves when it is acknowledged, and received by the second server. */
  async function write(seconds: number): Promise<void> {
    const client = await servers[0].connect({ database: 'app' });
    await client.query("SET SESSION binlog_format = 'STATEMENT'");
    await client.query(`INSERT INTO slow SELECT 1, SLEEP(IF(@@GLOBAL.read_only, ${seconds}, 0))`);
    client.destroy();
    const written = async () => String((await servers[0].query('SELECT @@GLOBAL.gtid_executed AS gtids'))[0]?.gtids);
    const all = await written();
    const words = semiSync ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS';
    await until(
      async () => await holds(servers[1], String((await servers[1].query(words))[0]?.Retrieved_Gtid_Set), all),
    );
  }
  const holds = async (server: Mysqld, received: string, gtids: string) => {
    const sql = `SELECT GTID_SUBSET('${gtids}', CONCAT('${received}', ',', @@GLOBAL.gtid_executed)) AS yes`;
    return Number((await server.query(sql))[0]?.yes) === 1;
  };
  async function failedOver(): Promise<void> {
    await servers[0].kill();
    const lost = ha.uuid(servers[0]);
    await until(async () => {
      const { primary, servers: records } = await ha.group();
      return primary !== lost && records.some(({ uuid, status }) => uuid === primary && status === STATUS_PRIMARY);
    }, FAILOVER);
  }
  const idsOn = async (server: Mysqld) =>
    (await server.query('SELECT id FROM app.slow ORDER BY id')).map(({ id }) => Number(id));

  test('a transaction that takes seconds to apply survives a failover', { timeout: 120_000 }, async () => {
    await form(servers.slice(0, 2));
    await write(3);
    await failedOver();
    expect(await idsOn(servers[1])).toEqual([1]);
  });

  test('what a slow secondary alone has received is waited for', { timeout: 180_000 }, async () => {
    await form(servers);
    await until(async () => (await idsOn(servers[2]).catch(() => null)) !== null);
    await servers[2].query(semiSync ? 'STOP REPLICA IO_THREAD' : 'STOP SLAVE IO_THREAD');
    await write(13);
    await failedOver();
    expect(await idsOn(servers[1])).toEqual([1]);
    expect((await ha.group()).primary).toBe(ha.uuid(servers[1]));
    expect(ha.sentences.join('\n')).toContain('lacks what another server alone has received');
  });

  test('what a spare alone has received reaches the one that takes over', { timeout: 60_000 }, async () => {
    await form(servers);
    await until(async () => (await idsOn(servers[2]).catch(() => null)) !== null);
    await ha.change(servers[1], { status: STATUS_SPARE, mode: MODE_OFFLINE });
    await servers[2].query(semiSync ? 'STOP REPLICA IO_THREAD' : 'STOP SLAVE IO_THREAD');
    await write(0);
    await failedOver();
    expect((await ha.group()).primary).toBe(ha.uuid(servers[2]));
    expect(await idsOn(servers[2])).toEqual([1]);
  });

  test('transactions from elsewhere that came through the primary do not stop a failover', async () => {
    await form(servers);
    const client = await servers[0].connect();
    for (const sql of ["SET GTID_NEXT = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:1'", 'BEGIN', 'COMMIT'])
      await client.query(sql);
    client.destroy();
    for (const server of servers.slice(1))
      await until(async () => holds(server, '', 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:1'));
    await failedOver();
    expect((await ha.group()).servers.filter(({ status }) => status === 0)).toHaveLength(1);
  });
});
