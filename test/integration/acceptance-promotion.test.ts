import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { AcceptanceNode, following, managed, quietly, writable } from './acceptance-node.js';
import { until } from './ha-group.js';

/** Promote and demote: docs/compatibility.md says which behaviour of the original each test stands for. */

const NO_CANDIDATE = 'GroupError: There is no valid candidate that can be automatically chosen in group (g).';
const PRIMARY = 'PRIMARY/READ_WRITE/1';
const SECONDARY = 'SECONDARY/READ_ONLY/1';

describe.each(['9.7', '5.6'])('promote and demote on MySQL %s', version => {
  let servers: Mysqld[];
  let first: Mysqld;
  let second: Mysqld;
  let third: Mysqld;
  let node: AcceptanceNode;

  beforeAll(async () => {
    servers = await startMysqlds(3, { version });
    [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => node.stop());

  const replica = version === '5.6' ? 'SLAVE' : 'REPLICA';
  const discardHistory = version === '5.6' ? 'RESET MASTER' : 'RESET BINARY LOGS AND GTIDS';
  const executed = (server: Mysqld) => managed(server, session => session.executed());

  /** The next change of the primary cannot be applied by these. */
  const breakAppliers = async (...broken: Mysqld[]) => {
    for (const server of broken) await quietly(server, 'CREATE TABLE app.conflict (id INT)');
    const primary = await node.primary('g');
    await primary?.query('CREATE TABLE app.conflict (id INT)');
    for (const server of broken) await until(async () => /^\w+\/stopped /.test(await following(server)), 10_000);
  };

  test('a server that does not replicate is not promoted, whether it is stopped or not configured', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await second.query(`STOP ${replica}`);
    await third.query(`STOP ${replica}`);
    await third.query(`RESET ${replica} ALL`);
    expect(await node.refusal('group.promote', 'g', second.address)).toMatch(/^ServerError: .*receiver is stopped/);
    expect(await node.refusal('group.promote', 'g', third.address)).toMatch(/^ServerError: .*not configured/);
    expect(await node.rows('g')).toEqual([PRIMARY, SECONDARY, SECONDARY]);
    expect(await writable(first)).toBe(true);
  });

  test('by uuid, and back by address', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await node.call('group.promote', 'g', node.uuid(second));
    expect(await node.rows('g')).toEqual([SECONDARY, PRIMARY, SECONDARY]);
    expect(await following(first)).toBe(`running/running ${second.port}`);
    await node.call('group.promote', 'g', first.address);
    expect(await node.rows('g')).toEqual([PRIMARY, SECONDARY, SECONDARY]);
    expect(await following(third)).toBe(`running/running ${first.port}`);
    expect(await Promise.all(servers.map(writable))).toEqual([true, false, false]);
  });

  test('automatic: not in an unknown or empty group, nor when the only server is gone', async () => {
    node = await AcceptanceNode.start(servers);
    expect(await node.refusal('group.promote', 'none')).toBe('GroupError: Group (none) does not exist.');
    await node.call('group.create', 'g');
    expect(await node.refusal('group.promote', 'g')).toContain(NO_CANDIDATE);
    await node.call('group.add', 'g', first.address);
    await first.kill();
    const refusal = await node.refusal('group.promote', 'g');
    expect(refusal).toContain(NO_CANDIDATE);
    expect(refusal).toContain(first.address);
    expect(await node.primary('g')).toBeUndefined();
  });

  test('automatic: what is gone, or follows another server, is passed over', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await managed(second, session => session.follow({ host: third.host, port: third.port }));
    await node.call('server.set_weight', third.address, 0.5); // so that it would come last
    await node.call('group.promote', 'g');
    expect(await node.primary('g')).toBe(third);
    await first.kill();
    await node.call('group.promote', 'g');
    expect(await node.primary('g')).toBe(second);
    expect(await writable(third)).toBe(false);
  });

  test('automatic: also in a group without a primary', async () => {
    node = await AcceptanceNode.start(servers);
    await node.gather('g', first, second, third);
    await node.call('group.promote', 'g');
    expect((await node.rows('g')).sort()).toEqual([PRIMARY, SECONDARY, SECONDARY]);
    await node.call('group.demote', 'g');
    expect(await node.rows('g')).toEqual([SECONDARY, SECONDARY, SECONDARY]);
    await node.call('group.promote', 'g');
    const primary = await node.primary('g');
    for (const server of servers.filter(each => each !== primary))
      expect(await following(server)).toBe(`running/running ${primary?.port}`);
  });

  test('update_only needs a candidate, takes it by uuid or address, and touches no server', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    expect(await node.refusal('group.promote', 'g', null, true)).toContain('The new master must be specified');
    await node.call('group.promote', 'g', node.uuid(second), true);
    expect(await node.rows('g')).toEqual([SECONDARY, PRIMARY, SECONDARY]);
    await node.call('group.promote', 'g', third.address, true);
    expect(await node.rows('g')).toEqual([SECONDARY, SECONDARY, PRIMARY]);
    expect(await Promise.all(servers.map(writable))).toEqual([true, false, false]);
    expect(await following(third)).toBe(`running/running ${first.port}`);
  });

  test('demote makes the primary a secondary and stops replication; update_only leaves it running', async () => {
    node = await AcceptanceNode.start(servers);
    expect(await node.refusal('group.demote', 'g')).toBe('GroupError: Group (g) does not exist.');
    await node.form('g', first, second);
    await node.call('group.demote', 'g', true);
    expect(await node.rows('g')).toEqual([SECONDARY, SECONDARY, '-']);
    expect(await following(second)).toBe(`running/running ${first.port}`);
    expect(await node.refusal('group.demote', 'g')).toBe('GroupError: Group (g) does not have a master.');
    await node.call('group.promote', 'g', first.address);
    await node.call('group.demote', 'g');
    expect(await node.rows('g')).toEqual([SECONDARY, SECONDARY, '-']);
    expect(await following(second)).toBe(`stopped/stopped ${first.port}`);
    expect(await Promise.all([first, second].map(writable))).toEqual([false, false]);
  });

  test('servers whose history was discarded can be demoted and promoted again and again', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    for (let round = 0; round < 2; round += 1) {
      await (await node.primary('g'))?.query(`CREATE TABLE app.t${round} (id INT)`);
      await node.call('group.demote', 'g');
      for (const server of servers) await server.query(discardHistory);
      await node.call('group.promote', 'g');
      expect((await node.rows('g')).sort()).toEqual([PRIMARY, SECONDARY, SECONDARY]);
    }
    for (const server of servers) expect(await executed(server)).toBe('');
  });

  test('a candidate whose history was discarded is promoted, unless others have more', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await second.query(`STOP ${replica}`);
    await second.query(discardHistory);
    await second.query(`START ${replica}`);
    await until(async () => (await following(second)) === `running/running ${first.port}`);
    await node.call('group.promote', 'g', second.address);
    expect(await node.rows('g')).toEqual([SECONDARY, PRIMARY, SECONDARY]);
    await second.query('CREATE TABLE app.t (id INT)');
    await node.call('group.demote', 'g');
    await third.query(discardHistory);
    expect(await node.refusal('group.promote', 'g', third.address)).toContain(`${node.uuid(second)}:1`);
    await node.call('group.promote', 'g');
    expect(await node.primary('g')).not.toBe(third);
  });

  test('promote, demote, remove the old primary, and promote by itself', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await first.query('CREATE TABLE app.t (id INT)');
    await node.call('group.demote', 'g');
    await node.call('group.remove', 'g', first.address);
    await node.call('group.promote', 'g');
    expect((await node.rows('g')).sort()).toEqual(['-', PRIMARY, SECONDARY]);
    await until(async () => (await second.query("SHOW TABLES IN app LIKE 't'")).length === 1);
    expect((await node.call('group.health', 'g')).resultSets[1]?.rows).toEqual([]);
  });

  test('one broken replica: not promoted by name, passed over otherwise, and seen in the health', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await breakAppliers(second);
    expect(await node.refusal('group.promote', 'g', second.address)).toContain('its applier is stopped');
    expect(await node.health('g', second)).toMatchObject({
      is_alive: true,
      sql_not_running: true,
      io_not_running: false,
    });
    expect((await node.health('g', second))?.sql_error).not.toBe('False');
    expect(await node.health('g', third)).toMatchObject({ is_alive: true, sql_not_running: false, sql_error: 'False' });
    await node.call('group.promote', 'g');
    expect(await node.primary('g')).toBe(third);
    await node.call('group.promote', 'g');
    expect(await node.primary('g')).toBe(first);
    expect(await writable(second)).toBe(false);
  });

  test('all replicas broken: nobody is promoted, and the primary stays', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await breakAppliers(second, third);
    const refusal = await node.refusal('group.promote', 'g');
    expect(refusal).toContain(NO_CANDIDATE);
    for (const server of [second, third]) expect(refusal).toContain(node.uuid(server));
    expect(await node.rows('g')).toEqual([PRIMARY, SECONDARY, SECONDARY]);
    expect(await writable(first)).toBe(true);
  });
});
