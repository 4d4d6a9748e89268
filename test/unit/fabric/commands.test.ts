import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../../src/fabric/commands/all.js';
import { CommandError } from '../../../src/fabric.js';
import { createFakeFabric, type FakeFabric, UUIDS } from '../../fakes/fake-fabric.js';

const [FIRST, SECOND, PRIMARY] = UUIDS;
const STRANGER = '11111111-2222-3333-4444-555555555555';

let node: FakeFabric;
beforeEach(async () => {
  node = await createFakeFabric();
});
afterEach(() => node.fabric.stop());

const call = (name: string, ...args: unknown[]) => node.fabric.call(name, ...args);
const refusal = async (name: string, ...args: unknown[]) => {
  const error = await call(name, ...args).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CommandError);
  return (error as CommandError).message;
};
const serverRow = async (uuid: string) =>
  (await call('group.lookup_servers', 'my_group')).rows.find(row => row.server_uuid === uuid);

describe('the command table', () => {
  it('explains every command and every parameter', () => {
    for (const { doc, params } of commands.values()) {
      expect(doc).toMatch(/\.$/);
      for (const param of params) expect(param.doc).not.toBe('');
    }
  });

  it('has the parameters of the original, in its order', () => {
    const signatures = [...commands.values()].map(({ name, params }) =>
      `${name} ${params.map(p => (p.default === undefined ? p.name : `${p.name}=${p.default}`)).join(' ')}`.trim(),
    );
    expect(signatures).toEqual([
      'manage.ping',
      'manage.stop',
      'manage.logging_level module level',
      'manage.help group=null command=null',
      'group.lookup_groups group_id=null',
      'group.lookup_servers group_id server_id=null status=null mode=null',
      'group.health group_id timeout=null',
      'group.why group_id timeout=null',
      'group.create group_id description=null synchronous=true',
      'group.description group_id description=null synchronous=true',
      'group.destroy group_id synchronous=true',
      'group.activate group_id synchronous=true',
      'group.deactivate group_id synchronous=true',
      'group.add group_id address timeout=null update_only=false synchronous=true',
      'group.remove group_id server_id synchronous=true',
      'group.promote group_id slave_id=null update_only=false synchronous=true',
      'group.demote group_id update_only=false synchronous=true',
      'server.lookup_uuid address timeout=null',
      'server.set_status server_id status update_only=false synchronous=true',
      'server.set_mode server_id mode synchronous=true',
      'server.set_weight server_id weight synchronous=true',
      'threat.report_error server_id reporter=unknown error=unknown update_only=false synchronous=true',
      'threat.report_failure server_id reporter=unknown error=unknown update_only=false synchronous=true',
      'dump.servers connector_version=null patterns=',
      'dump.fabric_nodes protocol=null',
      'dump.shard_maps connector_version=null patterns=',
      'dump.shard_tables connector_version=null patterns=',
      'dump.shard_index connector_version=null patterns=',
      'dump.sharding_information connector_version=null patterns=',
      'event.trigger event locks=null args=null kwargs=null',
      'event.wait_for_procedures proc_uuids=null',
      'event.under_way',
      'event.log group_id=null limit=50',
      'statistics.node',
      'statistics.group group_id=null',
      'statistics.procedure procedure_name=null',
      // The original asked for the password on its terminal.
      'user.add username protocol=null roles=null new_password=null',
      'user.delete username protocol=null force=false',
      'user.password username protocol=null new_password=null',
      'user.roles username protocol=null roles=null',
      'user.list',
      'role.list',
    ]);
  });
});

describe('group', () => {
  it('is created, described, found and destroyed', async () => {
    await call('group.create', 'g2', 'two');
    expect((await call('group.lookup_groups', 'g2')).rows).toEqual([
      { group_id: 'g2', description: 'two', failure_detector: false, master_uuid: null },
    ]);
    await call('group.description', 'g2');
    expect((await call('group.lookup_groups')).rows.map(row => [row.group_id, row.description])).toEqual([
      ['g2', null],
      ['my_group', null],
    ]);
    await call('group.destroy', 'g2');
    expect(await refusal('group.destroy', 'g2')).toBe('GroupError: Group (g2) does not exist.');
  });

  it('says in the words of the original what is wrong', async () => {
    await call('group.create', 'g2');
    expect(await refusal('group.create', 'g2')).toBe('GroupError: Group (g2) already exists.');
    expect(await refusal('group.create', 'a b')).toMatch(/^GroupError: Group identifier \(a b\) must be/);
    expect(await refusal('group.lookup_groups', 'g3')).toBe('Group (g3) does not exist.');
    expect(await refusal('group.lookup_servers', 'g3')).toBe('Group (g3) does not exist.');
    expect(await refusal('group.health', 'g3')).toBe('Group (g3) does not exist.');
    for (const name of ['description', 'destroy', 'activate', 'deactivate', 'promote', 'demote']) {
      expect(await refusal(`group.${name}`, 'g3')).toBe('GroupError: Group (g3) does not exist.');
    }
    expect(await refusal('group.add', 'g3', 'db1')).toBe('GroupError: Group (g3) does not exist.');
    expect(await refusal('group.remove', 'g3', FIRST)).toBe('GroupError: Group (g3) does not exist.');
    expect(await refusal('group.destroy', 'my_group')).toBe(
      'GroupError: Cannot destroy a group (my_group) which has associated servers.',
    );
    expect(await refusal('group.demote', 'g2')).toBe('GroupError: Group (g2) does not have a master.');
  });

  it('is looked for before anything is recorded, and what is too long for a store is refused', async () => {
    const missing = 'x'.repeat(100);
    for (const command of ['description', 'activate', 'deactivate', 'destroy'])
      expect(await refusal(`group.${command}`, missing, ...(command === 'description' ? ['d'] : []), false)).toBe(
        `GroupError: Group (${missing}) does not exist.`,
      );
    const long = 'd'.repeat(257);
    for (const [command, id] of [
      ['create', 'g'],
      ['description', 'my_group'],
    ])
      expect(await refusal(`group.${command}`, id, long)).toBe(
        'GroupError: description has 257 characters; 256 are the most.',
      );
    await call('group.create', 'g', '😀'.repeat(256));
  });

  it('is activated and deactivated, and may be so twice', async () => {
    for (const [name, active] of [
      ['activate', true],
      ['activate', true],
      ['deactivate', false],
      ['deactivate', false],
    ] as const) {
      await call(`group.${name}`, 'my_group');
      expect((await call('group.lookup_groups', 'my_group')).rows[0]?.failure_detector).toBe(active);
    }
  });

  it('shows its servers by name, filtered', async () => {
    expect((await call('group.lookup_servers', 'my_group')).rows).toEqual([
      { server_uuid: FIRST, address: '127.0.0.1:34002', status: 'SECONDARY', mode: 'READ_ONLY', weight: 1 },
      { server_uuid: SECOND, address: '127.0.0.1:34003', status: 'SECONDARY', mode: 'READ_ONLY', weight: 1 },
      { server_uuid: PRIMARY, address: '127.0.0.1:34004', status: 'PRIMARY', mode: 'READ_WRITE', weight: 1 },
    ]);
    const found = async (...filter: unknown[]) =>
      (await call('group.lookup_servers', 'my_group', ...filter)).rows.map(row => row.server_uuid);
    expect(await found(null, 'primary')).toEqual([PRIMARY]);
    expect(await found(null, 2, 'READ_ONLY')).toEqual([FIRST, SECOND]);
    expect(await found('127.0.0.1:34003')).toEqual([SECOND]);
    expect(await found(SECOND, 'PRIMARY')).toEqual([]);
    expect(await refusal('group.lookup_servers', 'my_group', null, 'BOGUS')).toMatch(
      /^Trying to use an invalid status/,
    );
    expect(await refusal('group.lookup_servers', 'my_group', null, null, '9')).toMatch(
      /^Trying to use an invalid mode/,
    );
    expect(await refusal('group.lookup_servers', 'my_group', STRANGER)).toBe(
      `Group (my_group) does not contain server (${STRANGER}).`,
    );
  });

  it('takes servers in and lets them go', async () => {
    node.servers.add(STRANGER, 34_005, { executed: '' });
    await call('group.add', 'my_group', '127.0.0.1:34005');
    expect(await serverRow(STRANGER)).toMatchObject({ status: 'SECONDARY', mode: 'READ_ONLY', weight: 1 });
    expect(node.servers.get(34_005).sourceUuid).toBe(PRIMARY);
    expect(await refusal('group.add', 'my_group', '127.0.0.1:34005')).toMatch(
      /^ServerError: Server \(.*\) already exists\.$/,
    );
    await call('group.remove', 'my_group', '127.0.0.1:34005');
    expect(await serverRow(STRANGER)).toBeUndefined();
    expect(await refusal('group.remove', 'my_group', PRIMARY)).toBe(
      `ServerError: Cannot remove server (${PRIMARY}), which is master in group (my_group). Please, demote it first.`,
    );
    expect(await refusal('group.add', 'my_group', 'a b')).toMatch(/^ServerError: Address/);
    expect(await refusal('group.add', 'my_group', 'db1', 0)).toBe(
      'ServerError: Timeout (0) must be greater than 0 and at most 60.',
    );
    expect(await refusal('group.add', 'my_group', '127.0.0.1:39999')).toMatch(/^DatabaseError: /);
  });

  it('is promoted and demoted', async () => {
    await call('group.promote', 'my_group', '127.0.0.1:34002');
    expect(await serverRow(FIRST)).toMatchObject({ status: 'PRIMARY', mode: 'READ_WRITE' });
    expect(await serverRow(PRIMARY)).toMatchObject({ status: 'SECONDARY', mode: 'READ_ONLY' });
    await call('group.demote', 'my_group');
    expect((await call('group.lookup_groups', 'my_group')).rows[0]?.master_uuid).toBeNull();
  });
});

describe('group.promote', () => {
  it('says what to do about a primary that does not answer', async () => {
    node.servers.get(34_004).up = false;
    for (const candidate of [FIRST, null])
      expect(await refusal('group.promote', 'my_group', candidate)).toBe(
        `DatabaseError: The primary (${PRIMARY}, 127.0.0.1:34004) does not answer, as a switchover needs: Can't connect to 127.0.0.1:34004. 'threat report_failure ${PRIMARY}' makes another server take over.`,
      );
  });

  it('names the arguments that go together', async () => {
    expect(await refusal('group.promote', 'my_group', null, true)).toBe(
      'ProcedureError: The new master must be specified through --slave_id if --update_only is set.',
    );
  });
});

describe('group.why', () => {
  const said = async () => (await call('group.why', 'my_group')).rows.map(({ sentence }) => String(sentence));

  it('ends each sentence once, and says which kind of promotion it was', async () => {
    await refusal('group.promote', 'my_group', PRIMARY);
    await call('group.promote', 'my_group', FIRST, true);
    const sentences = (await said()).join('\n');
    expect(sentences).toContain('is already master.\n');
    expect(sentences).toContain('group.promote of group my_group changes the store only, for its primary');
    expect(sentences).not.toContain('..');
  });

  it('repeats no long error', async () => {
    const error = 'Could not execute Write_rows event on table shop.orders; Duplicate entry 7, or others, if any.';
    Object.assign(node.servers.get(34_002), { sql: 'stopped', sqlError: error });
    Object.assign(node.servers.get(34_003), { sql: 'stopped', sqlError: error });
    await refusal('group.promote', 'my_group', FIRST);
    const sentences = await said();
    expect(sentences.join('\n').split(error)).toHaveLength(2);
    expect(sentences.join('\n')).toContain('(the same error as above)');
  });
});

describe('the failure detector', () => {
  const quick = { failureTracking: { detections: 2, detectionInterval: 0.2, detectionTimeout: 0.2 } };

  const killPrimary = () => {
    node.servers.get(34_004).up = false;
    for (const port of [34_002, 34_003]) node.servers.get(port).io = 'connecting';
  };
  const primary = async () => (await call('group.lookup_groups', 'my_group')).rows[0]?.master_uuid;

  beforeEach(async () => {
    await node.fabric.stop();
    node = await createFakeFabric(quick);
  });

  it('watches a group from its activation on, until its deactivation', async () => {
    await call('group.activate', 'my_group');
    await call('group.deactivate', 'my_group');
    killPrimary();
    await new Promise(resolve => setTimeout(resolve, 600));
    expect(await primary()).toBe(PRIMARY);
    await call('group.activate', 'my_group');
    await expect.poll(primary, { timeout: 5_000 }).not.toBe(PRIMARY);
  });

  it('watches the groups that are stored as active as soon as the node starts', async () => {
    await call('group.activate', 'my_group');
    await node.fabric.stop();
    killPrimary();
    await node.fabric.start();
    await expect.poll(primary, { timeout: 5_000 }).not.toBe(PRIMARY);
    expect(await serverRow(PRIMARY)).toMatchObject({ status: 'FAULTY' });
  });
});

describe('group.health', () => {
  const healthOf = async (uuid: string) => {
    const { rows, resultSets } = await call('group.health', 'my_group');
    return { row: rows.find(row => row.uuid === uuid), issues: resultSets[1]?.rows.flat() };
  };
  const fine = {
    is_alive: true,
    is_not_running: false,
    is_not_configured: false,
    io_not_running: false,
    sql_not_running: false,
    io_error: 'False',
    sql_error: 'False',
  };

  it('finds nothing wrong with a healthy group, and leaves no session open', async () => {
    const { rows } = await call('group.health', 'my_group');
    expect(rows).toMatchObject([fine, fine, fine]);
    expect((await healthOf(PRIMARY)).issues).toEqual([]);
    expect(node.servers.open).toBe(0);
  });

  it('shows what it cannot reach as FAULTY, without storing it', async () => {
    node.servers.get(34_002).up = false;
    expect((await healthOf(FIRST)).row).toMatchObject({ is_alive: false, status: 'FAULTY', io_error: 'False' });
    expect(await serverRow(FIRST)).toMatchObject({ status: 'SECONDARY' });
  });

  it('shows stopped threads and their errors', async () => {
    Object.assign(node.servers.get(34_002), { io: 'connecting', ioError: 'cannot hear', sql: 'stopped' });
    node.servers.get(34_003).source = null;
    expect((await healthOf(FIRST)).row).toMatchObject({
      io_not_running: true,
      sql_not_running: true,
      io_error: 'cannot hear',
    });
    expect((await healthOf(SECOND)).row).toMatchObject({ is_not_configured: true, io_not_running: false });
  });

  it('shows what is missing and errant, how far behind a server is, and what it accepts', async () => {
    const replica = { gtids_missing: '', gtids_errant: '', seconds_behind: '0', semi_sync: null, read_only: 'ON' };
    const secondary = { ...replica, super_read_only: 'ON', fencing: 'fenced' };
    const writable = { ...replica, seconds_behind: null, read_only: 'OFF', super_read_only: 'OFF', fencing: 'open' };
    expect((await call('group.health', 'my_group')).rows).toMatchObject([secondary, secondary, writable]);
    node.servers.get(34_004).executed = `${PRIMARY}:1-10`;
    Object.assign(node.servers.get(34_002), { executed: `${PRIMARY}:1-8,${FIRST}:1`, readOnly: false });
    node.servers.get(34_003).up = false;
    const { row, issues } = await healthOf(FIRST);
    expect(row).toMatchObject({ gtids_missing: `${PRIMARY}:9-10`, gtids_errant: `${FIRST}:1`, fencing: 'open' });
    expect(issues).toContain(`Server (${FIRST}) accepts writes, but the primary is (${PRIMARY}).`);
    const unknown = { gtids_missing: null, gtids_errant: null, seconds_behind: null, read_only: null, fencing: null };
    expect((await healthOf(SECOND)).row).toMatchObject(unknown);
    for (const bad of [0, -1, 61]) expect(await refusal('group.health', 'my_group', bad)).toContain(`Timeout (${bad})`);
  });

  it('takes one timeout, however many servers are silent, and the primary among them', async () => {
    const { connect } = node.servers;
    node.servers.connect = (address, timeout) =>
      address.port === 34_003 ? connect(address, timeout) : new Promise(() => {});
    const began = performance.now();
    const { rows } = await call('group.health', 'my_group', 1);
    expect(performance.now() - began).toBeLessThan(1_900);
    expect(rows.map(({ is_alive }) => is_alive)).toEqual([false, true, false]);
    expect(node.servers.open).toBe(0);
  });

  it('takes nothing for errant that the primary wrote while the others were asked', async () => {
    const { connect } = node.servers;
    let written = `${PRIMARY}:1-10`;
    node.servers.connect = async (address, timeout) => {
      const session = await connect(address, timeout);
      const slow = async () => {
        await sleep(20);
        written = `${PRIMARY}:1-11`;
        return written;
      };
      return Object.assign(session, { executed: address.port === 34_002 ? slow : async () => written });
    };
    expect((await healthOf(FIRST)).row).toMatchObject({ gtids_missing: '', gtids_errant: '' });
  });

  it('names a primary that refuses writes', async () => {
    node.servers.get(34_004).readOnly = true;
    expect((await healthOf(PRIMARY)).issues).toEqual([
      `Server (${PRIMARY}) is the primary, but refuses writes: super_read_only is ON.`,
    ]);
  });

  it('names replicas of another server, and errant transactions', async () => {
    node.servers.get(34_004).executed = `${PRIMARY}:1-10`;
    Object.assign(node.servers.get(34_002), { sourceUuid: STRANGER, executed: `${PRIMARY}:1-9` });
    node.servers.get(34_003).executed = `${PRIMARY}:1-9,${SECOND}:1-2`;
    expect((await healthOf(FIRST)).issues).toEqual([
      `Server (${FIRST}) replicates from (${STRANGER}), but the primary is (${PRIMARY}).`,
      `Server (${SECOND}) has errant transactions: ${SECOND}:1-2.`,
    ]);
  });
});

describe('server', () => {
  it('is asked for its uuid', async () => {
    expect((await call('server.lookup_uuid', '127.0.0.1:34002')).rows).toEqual([{ uuid: FIRST }]);
    expect(await refusal('server.lookup_uuid', '127.0.0.1:39999', 1)).toBe(
      "Error accessing server (127.0.0.1:39999). Can't connect to 127.0.0.1:39999.",
    );
    for (const bad of [0, -1, 60.1, 2_500_000, Number.NaN]) {
      expect(await refusal('server.lookup_uuid', '127.0.0.1:34002', bad)).toMatch(/Timeout|timeout/);
      expect(await refusal('group.add', 'my_group', '127.0.0.1:34002', bad)).toMatch(/Timeout|timeout/);
    }
    expect(node.servers.open).toBe(0);
  });

  it('goes from SECONDARY to SPARE and back, in the store alone', async () => {
    await call('server.set_status', FIRST, 'spare');
    expect(await serverRow(FIRST)).toMatchObject({ status: 'SPARE', mode: 'OFFLINE' });
    await call('server.set_status', '127.0.0.1:34002', 2);
    expect(await serverRow(FIRST)).toMatchObject({ status: 'SECONDARY', mode: 'READ_ONLY' });
    expect(node.servers.get(34_002).io).toBe('running');
  });

  it('comes back from FAULTY as a SPARE that follows the primary', async () => {
    await call('threat.report_failure', FIRST);
    expect(await refusal('server.set_status', FIRST, 'SECONDARY')).toBe(
      `ServerError: Cannot change server's (${FIRST}) status from (FAULTY) to (SECONDARY).`,
    );
    node.servers.get(34_002).source = null;
    await call('server.set_status', FIRST, 'SPARE');
    expect(await serverRow(FIRST)).toMatchObject({ status: 'SPARE', mode: 'OFFLINE' });
    expect(node.servers.get(34_002).sourceUuid).toBe(PRIMARY);
  });

  it('stays FAULTY while it cannot be reached', async () => {
    await call('threat.report_failure', FIRST);
    node.servers.get(34_002).up = false;
    expect(await refusal('server.set_status', FIRST, 'SPARE')).toMatch(/^DatabaseError: /);
    expect(await serverRow(FIRST)).toMatchObject({ status: 'FAULTY' });
  });

  it('gets a mode and a weight', async () => {
    await call('server.set_mode', FIRST, 'offline');
    await call('server.set_weight', '127.0.0.1:34002', '0.25');
    expect(await serverRow(FIRST)).toMatchObject({ mode: 'OFFLINE', weight: 0.25 });
    expect(await refusal('server.set_mode', FIRST, 'READ_WRITE')).toBe(
      `ServerError: Cannot set mode to (READ_WRITE) when the server's (${FIRST}) status is (SECONDARY).`,
    );
    expect(await refusal('server.set_weight', FIRST, 0)).toBe(
      "ServerError: Cannot set the server's weight (0.0) to a value lower than or equal to 0.0",
    );
    expect(await serverRow(FIRST)).toMatchObject({ mode: 'OFFLINE', weight: 0.25 });
  });

  it.each([
    ['server.set_status', 'SPARE'],
    ['server.set_mode', 'OFFLINE'],
    ['server.set_weight', 1],
    ['threat.report_error', 'x'],
    ['threat.report_failure', 'x'],
  ])('%s refuses an unknown one', async (name, value) => {
    for (const unknown of [STRANGER, '127.0.0.1:1', 'not an address']) {
      expect(await refusal(name, unknown, value)).toBe(`ServerError: Server (${unknown}) does not exist.`);
    }
  });

  it('keeps every one of many changes at once', async () => {
    await Promise.all([
      ...[0.1, 0.2, 0.3].map(weight => call('server.set_weight', FIRST, weight)),
      call('server.set_mode', SECOND, 'OFFLINE'),
      call('group.description', 'my_group', 'busy'),
    ]);
    expect(await serverRow(FIRST)).toMatchObject({ weight: 0.3 });
    expect(await serverRow(SECOND)).toMatchObject({ mode: 'OFFLINE' });
    expect((await call('group.lookup_groups', 'my_group')).rows[0]?.description).toBe('busy');
  });
});

describe('threat', () => {
  it('keeps a report, with the reporter cut to 64 characters', async () => {
    const { resultSets } = await call('threat.report_error', FIRST, 'r'.repeat(100), 2013);
    expect(resultSets.map(({ columns, rows }) => [columns, rows.length])).toEqual([
      [['uuid', 'finished', 'success', 'result'], 1],
      [['state', 'success', 'when', 'description'], 3],
    ]);
    await call('threat.report_error', FIRST, 'r'.repeat(65), 2013);
    expect(await node.store.countReports(FIRST, node.now)).toEqual({ reports: 2, reporters: 1 });
  });

  it('believes report_failure at once', async () => {
    await call('threat.report_failure', SECOND, 'operator', 'disk on fire');
    expect(await serverRow(SECOND)).toMatchObject({ status: 'FAULTY', mode: 'READ_ONLY' });
    expect((await call('dump.servers')).rows.map(row => row.server_uuid)).toEqual([FIRST, PRIMARY]);
  });
});

describe('dump', () => {
  const groupsOf = async (patterns: string) => (await call('dump.servers', 0, patterns)).rows.map(row => row.group_id);

  beforeEach(async () => {
    const group = { description: null, active: false, primary: null, primarySince: null, baseline: null };
    for (const [index, id] of ['g1', 'g10', 'g2'].entries()) {
      const server = { port: 3306, status: 1, mode: 0, weight: 0.5, needsFencing: false, byHand: false } as const;
      const uuid = `0000000${index}-0000-4000-8000-000000000000`;
      await node.store.createGroup({ ...group, id, servers: [{ ...server, uuid, host: `db${index}` }] });
    }
  });

  it('matches names as SQL LIKE %pattern%, one pattern after the other', async () => {
    expect(await groupsOf('g1')).toEqual(['g1', 'g10']);
    expect(await groupsOf('g2, g10')).toEqual(['g2', 'g10']);
    expect(await groupsOf('g1,g10')).toEqual(['g1', 'g10', 'g10']);
    expect(await groupsOf('g_0')).toEqual(['g10']);
    expect(await groupsOf('nosuch')).toEqual([]);
    expect(await groupsOf('')).toEqual(['g1', 'g10', 'g2', 'my_group', 'my_group', 'my_group']);
    expect(await groupsOf('%')).toEqual(await groupsOf(''));
  });

  it('asks the same pattern once, and refuses what would be far more rows than there are servers', async () => {
    expect(await groupsOf('g2,g2, g2')).toEqual(['g2']);
    const many = Array.from({ length: 900 }, (_, n) => '%'.repeat(n + 1)).join(',');
    expect(await groupsOf(many)).toHaveLength(900 * 6);
    const server = { port: 3306, status: 2, mode: 1, weight: 1, needsFencing: false, byHand: false } as const;
    const servers = Array.from({ length: 10 }, (_, n) => ({ ...server, uuid: `${n}`, host: `s${n}` }));
    const group = { description: null, active: false, primary: null, primarySince: null, baseline: null };
    await node.store.createGroup({ ...group, id: 'g3', servers });
    expect(await refusal('dump.servers', 0, many)).toBe(
      'The patterns match more than 10000 servers, those that several match counted for each: ask with fewer patterns.',
    );
  });

  it('leaves others their turn between patterns', async () => {
    let turns = 0;
    const turn = () => {
      turns += 1;
      waiting = setImmediate(turn);
    };
    let waiting = setImmediate(turn);
    await call('dump.servers', 0, Array.from({ length: 1_000 }, (_, n) => `x${n}`).join(','));
    clearImmediate(waiting);
    expect(turns).toBeGreaterThan(500);
  });

  it('shows the codes, with SPAREs', async () => {
    expect((await call('dump.servers', 0, 'g2')).resultSets).toEqual([
      {
        columns: ['server_uuid', 'group_id', 'host', 'port', 'mode', 'status', 'weight'],
        rows: [['00000002-0000-4000-8000-000000000000', 'g2', 'db2', 3306, 0, 1, 0.5]],
      },
    ]);
  });

  it('lists this node', async () => {
    const self = [node.fabric.address.xmlrpc];
    expect((await call('dump.fabric_nodes')).rows).toEqual(self);
    expect((await call('dump.fabric_nodes', 'protocol.xmlrpc')).rows).toEqual(self);
    expect((await call('dump.fabric_nodes', 'protocol.mysql')).rows).toEqual([]);
    expect(await refusal('dump.fabric_nodes', 'protocol.http')).toBe('Protocol (protocol.http) is not supported.');
  });

  it('has no shards', async () => {
    for (const name of ['shard_maps', 'shard_tables', 'shard_index', 'sharding_information']) {
      const { resultSets } = await call(`dump.${name}`, 0, '1');
      expect(resultSets).toHaveLength(1);
      expect(resultSets[0]?.rows).toEqual([]);
    }
  });
});
