import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { declareFaulty } from '../../src/fabric/procedures/declare-faulty.js';
import { addServer, faultyToSpare, removeServer } from '../../src/fabric/procedures/membership.js';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { GROUP, HaGroup, until } from './ha-group.js';

describe.each(['9.7', '5.6'])('membership on MySQL %s', version => {
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

  const add = (server: { host: string; port: number }, updateOnly = false) =>
    addServer({ group: GROUP, address: { host: server.host, port: server.port }, timeout: 2, updateOnly });
  const remove = (server: string) => removeServer({ group: GROUP, server });
  const repair = (server: string, updateOnly = false) => faultyToSpare({ group: GROUP, server, updateOnly });
  const report = (server: string) =>
    declareFaulty({
      group: GROUP,
      server,
      reporter: 't',
      error: '',
      updateOnly: false,
      respectFailoverInterval: false,
    });
  const wipe = (server: Mysqld) => server.reset();

  test('a server that is added follows the primary', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    await first.query('CREATE TABLE app.t (id INT)');
    await until(async () => (await third.query("SHOW TABLES IN app LIKE 't'")).length === 1);
    expect(await ha.record(third)).toMatchObject({ status: 2, mode: 1, weight: 1, needsFencing: false });
    expect(await ha.expectOnePrimary()).toBe(first);
  });

  test('known, unreachable and diverged servers are refused, and nothing of them stays', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    expect(await ha.refuse(add(second))).toBe(`ServerError: Server (${ha.uuid(second)}) already exists.`);
    expect(await ha.refuse(add({ host: '127.0.0.1', port: 1 }))).toMatch(/^DatabaseError: /);
    await ha.do(remove(third.address));
    await wipe(third);
    await third.query('CREATE TABLE app.errant (id INT)');
    expect(await ha.refuse(add(third))).toMatch(/^ServerError: .*:1\.$/);
    expect((await ha.group()).servers).toHaveLength(2);
    const status = await third.query(version === '5.6' ? 'SHOW SLAVE STATUS' : 'SHOW REPLICA STATUS');
    expect(status).toEqual([]);
  });

  test('without a primary and with update_only the server is not touched', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    await ha.do(remove(ha.uuid(third)));
    await wipe(third);
    await ha.do(add(third, true));
    expect(await ha.record(third)).toMatchObject({ status: 2, mode: 1 });
    expect(await ha.writable()).toEqual([first, third]);
  });

  test('remove refuses the primary, and forgets a dead server', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    expect(await ha.refuse(remove(first.address))).toBe(
      `ServerError: Cannot remove server (${ha.uuid(first)}), which is master in group (${GROUP}). Please, demote it first.`,
    );
    await third.kill();
    await ha.do(remove(ha.uuid(third)));
    expect((await ha.group()).servers.map(({ uuid }) => uuid).sort()).toEqual([ha.uuid(first), ha.uuid(second)].sort());
  });

  test('FAULTY becomes SPARE when it follows again; errant transactions keep it out', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    expect(await ha.refuse(repair(ha.uuid(second)))).toBe(
      `ServerError: Cannot change server's (${ha.uuid(second)}) status from (SECONDARY) to (SPARE).`,
    );
    await ha.do(report(ha.uuid(second)));
    await second.kill();
    expect(await ha.refuse(repair(ha.uuid(second)))).toMatch(/^DatabaseError: /);
    await second.start();
    await ha.do(repair(ha.uuid(second)));
    expect(await ha.record(second)).toMatchObject({ status: 1, mode: 0, needsFencing: false });
    expect(await ha.expectOnePrimary()).toBe(first);
    await ha.do(report(ha.uuid(third)));
    await third.query('SET GLOBAL read_only = OFF');
    await third.query('CREATE TABLE app.errant (id INT)');
    expect(await ha.refuse(repair(ha.uuid(third)))).toContain(`${ha.uuid(third)}:1`);
    expect((await ha.record(third)).status).toBe(0);
  });
});
