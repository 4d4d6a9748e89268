import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandError } from '../../../src/fabric.js';
import { createFakeFabric, type FakeFabric, UUIDS } from '../../fakes/fake-fabric.js';

/** What the node tells of itself: its procedures, its decisions, its statistics. */

const [FIRST, , PRIMARY] = UUIDS;
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
const uuidsOf = async (...args: unknown[]) =>
  (await call('event.trigger', ...args)).rows.map(({ uuid }) => String(uuid));
const primary = async () => (await call('group.lookup_groups', 'my_group')).rows[0]?.master_uuid;

describe('event', () => {
  it('lets one wait for procedures, and shows their steps or why they failed', async () => {
    const [good] = (await call('group.description', 'my_group', 'new', false)).rows;
    const [bad] = (await call('group.destroy', 'my_group', false)).rows;
    const { resultSets } = await call('event.wait_for_procedures', [good?.uuid, bad?.uuid]);
    expect(resultSets.map(({ columns }) => columns)).toEqual([
      ['uuid', 'finished', 'success', 'result'],
      ['state', 'success', 'when', 'description'],
      ['uuid', 'error'],
    ]);
    expect(resultSets[0]?.rows).toEqual([[good?.uuid, true, true, true]]);
    expect(resultSets[1]?.rows.map(([state, success, , text]) => [state, success, text])).toEqual([
      [3, 2, 'Triggered by group.description.'],
      [4, 2, 'Executing action (change the description).'],
      [5, 2, 'Executed action (change the description).'],
    ]);
    expect(resultSets[2]?.rows[0]).toEqual([bad?.uuid, expect.stringMatching(/^GroupError: Cannot destroy a group/)]);
  });

  it('finds no procedure that never was', async () => {
    expect(await refusal('event.wait_for_procedures', [STRANGER])).toBe(`Procedure (${STRANGER}) was not found.`);
    expect(await refusal('event.wait_for_procedures')).toContain('proc_uuids');
    expect(await refusal('event.wait_for_procedures', [])).toContain('proc_uuids');
  });

  it('answers for a procedure once, however often it is asked for, and for 1,000 at most', async () => {
    const [good] = (await call('group.description', 'my_group', 'new')).rows;
    const { resultSets } = await call('event.wait_for_procedures', Array(20_000).fill(good?.uuid));
    expect(resultSets).toHaveLength(2);
    const strangers = Array.from({ length: 1_001 }, (_, n) => `${n}`);
    expect(await refusal('event.wait_for_procedures', strangers)).toBe(
      'proc_uuids names 1001 procedures; 1000 is the most for one call.',
    );
  });

  it('starts nothing for an event that is unknown, or only tells', async () => {
    for (const name of ['NOSUCH', 'SERVER_LOST', 'SERVER_PROMOTED', 'ADD_SHARD'])
      expect(await uuidsOf(name)).toEqual([]);
  });

  it('fails over: another server is the primary, and the old one FAULTY', async () => {
    const uuids = await uuidsOf('FAIL_OVER', ['lock'], ['my_group']);
    await call('event.wait_for_procedures', uuids);
    expect(uuids.length).toBe(1);
    expect(await primary()).not.toBe(PRIMARY);
    const { rows } = await call('group.lookup_servers', 'my_group', PRIMARY);
    expect(rows[0]?.status).toBe('FAULTY');
    expect(await refusal('event.trigger', 'FAIL_OVER', [], ['nobody'])).toContain('Group (nobody) does not exist');
  });

  it('reports, with arguments in order or by name', async () => {
    await call('event.wait_for_procedures', await uuidsOf('REPORT_ERROR', [], [PRIMARY, 'app', '2013']));
    expect(await node.store.countReports(PRIMARY, 0)).toEqual({ reports: 1, reporters: 1 });
    const named = [`server_id=${FIRST}`, 'update_only=true', 'reporter=me=you'];
    await call('event.wait_for_procedures', await uuidsOf('REPORT_FAILURE', [], [], named));
    expect((await call('group.lookup_servers', 'my_group', FIRST)).rows[0]?.status).toBe('FAULTY');
    expect((await call('event.log', 'my_group')).rows[0]).toMatchObject({ asked_by: 'me=you', event: 'faulty' });
  });

  it.each([
    [['FAIL_OVER'], 'needs the argument group_id'],
    [['FAIL_OVER', [], ['g', 'h']], 'takes at most 1 arguments: group_id'],
    [['REPORT_ERROR', [], [], ['server=x']], 'not (server=x)'],
    [['REPORT_ERROR', [], [], ['server_id']], 'not (server_id)'],
  ])('says what an event takes: %j', async (args, message) => {
    expect(await refusal('event.trigger', ...args)).toContain(message);
  });

  it('logs what was decided, by whom and why, the latest last', async () => {
    await call('group.promote', 'my_group', FIRST);
    await call('group.remove', 'my_group', PRIMARY);
    await refusal('group.destroy', 'my_group');
    const { rows } = await call('event.log', 'my_group');
    expect(rows.map(({ event, asked_by, server_uuid }) => [event, asked_by, server_uuid])).toEqual([
      ['candidate', 'group.promote', PRIMARY],
      ['demoted', 'group.promote', PRIMARY],
      ['promoted', 'group.promote', FIRST],
      ['membership', 'group.remove', PRIMARY],
      ['failed', 'group.destroy', null],
    ]);
    for (const { when } of rows) expect(when).toBe(node.now / 1_000);
    expect(rows.at(-1)?.description).toContain('which has associated servers');
    expect((await call('event.log', null, 2)).rows).toEqual(rows.slice(-2));
    expect((await call('event.log', 'nobody')).rows).toEqual([]);
    expect(await refusal('event.log', null, 0)).toContain('limit (0) must be from 1 to 10000');
  });

  it('logs what operators change: what it was, what it is, and who asked', async () => {
    const trail = async (limit: number) =>
      (await call('event.log', null, limit)).rows.map(({ group_id, server_uuid, event, asked_by, description }) => [
        ...[group_id, server_uuid, event, asked_by],
        String(description).replaceAll(/server \S+ /g, 'server '),
      ]);
    await call('group.create', 'g2', 'two');
    await call('group.description', 'g2', "it's two");
    await call('group.description', 'g2');
    await call('group.description', 'g2');
    for (const name of ['activate', 'activate', 'deactivate', 'deactivate', 'destroy'])
      await call(`group.${name}`, 'g2');
    expect(await trail(50)).toEqual([
      ['g2', null, 'group', 'group.create', "group g2 was created, described as 'two'"],
      ['g2', null, 'group', 'group.description', "group g2 is described as 'it's two', and was as 'two'"],
      ['g2', null, 'group', 'group.description', "group g2 is not described any more, and was as 'it's two'"],
      ['g2', null, 'group', 'group.activate', 'group g2 is activated: its servers are watched'],
      ['g2', null, 'group', 'group.deactivate', 'group g2 is deactivated: its servers are not watched any more'],
      ['g2', null, 'group', 'group.destroy', 'group g2 was removed'],
    ]);
    await call('server.set_status', FIRST, 'spare');
    await call('server.set_mode', FIRST, 'read_only');
    await call('server.set_mode', FIRST, 'read_only');
    await call('server.set_weight', FIRST, 0.25);
    const server = 'server (127.0.0.1:34002) of group my_group has';
    expect((await trail(3)).map(([group, uuid, ...rest]) => [group, uuid === FIRST, ...rest])).toEqual(
      [
        ...[['status SPARE (was SECONDARY), mode OFFLINE (was READ_ONLY)', 'status']],
        ...[['mode READ_ONLY (was OFFLINE)', 'mode']],
        ...[['weight 0.25 (was 1)', 'weight']],
      ].map(([what, event]) => ['my_group', true, event, `server.set_${event}`, `${server} ${what}`]),
    );
  });

  it('logs who changed users, and never their passwords', async () => {
    await call('user.add', 'eve', 'xmlrpc', ['connector'], 'first-secret');
    await call('user.password', 'eve', null, 'second-secret');
    await call('user.roles', 'eve', 'xmlrpc', ['monitor']);
    await call('user.delete', 'eve');
    const { rows } = await call('event.log');
    expect(rows.map(({ group_id, event, asked_by, description }) => [group_id, event, asked_by, description])).toEqual([
      [null, 'user', 'user.add', 'User (eve) of xmlrpc was added with the roles connector'],
      [null, 'user', 'user.password', 'User (eve) of xmlrpc and mysql got another password'],
      [null, 'user', 'user.roles', 'User (eve) of xmlrpc got the roles monitor'],
      [null, 'user', 'user.delete', 'User (eve) of xmlrpc and mysql was removed'],
    ]);
    expect(JSON.stringify(rows)).not.toContain('secret');
  });

  it('says in the log what it says in the trail', async () => {
    await call('threat.report_failure', FIRST, 'somebody', 'no answer');
    const { rows } = await call('event.log', 'my_group', 1);
    expect(node.complaints).toContain(rows[0]?.description);
    expect(rows[0]?.description).toMatch(/is FAULTY, says somebody: no answer$/);
  });
});

describe('statistics', () => {
  it.each([
    [0, '0:00:00'],
    [119_000, '0:01:59'],
    [86_399_999, '23:59:59'],
    [86_400_000, '1 day, 0:00:00'],
    [3 * 86_400_000 + 3_600_000, '3 days, 1:00:00'],
  ])('of the node, %i ms after its start', async (ms, uptime) => {
    node.now += ms;
    const startup = '2026-11-21 19:50:54';
    expect((await call('statistics.node')).rows).toEqual([
      { node_id: '0', node_uptime: uptime, node_startup: startup },
    ]);
  });

  it('of groups: promotions and demotions', async () => {
    await call('group.promote', 'my_group', FIRST);
    await call('group.demote', 'my_group');
    const counted = { group_id: 'my_group', call_count: 1, call_abort: 2 };
    expect((await call('statistics.group')).rows).toEqual([counted]);
    expect((await call('statistics.group', 'y_g')).rows).toEqual([counted]);
    expect((await call('statistics.group', 'x')).rows).toEqual([]);
  });

  it('of commands: calls and failures, also of those that were not waited for', async () => {
    await call('group.create', 'g2');
    await refusal('group.create', 'g2');
    const { rows } = await call('group.create', 'g2', null, false);
    await call('event.wait_for_procedures', [rows[0]?.uuid]);
    expect((await call('statistics.procedure', 'group.cr')).rows).toEqual([
      { proc_name: 'group.create', call_count: 3, call_abort: 2 },
    ]);
    const all = (await call('statistics.procedure')).rows.map(({ proc_name }) => proc_name);
    expect(all).toEqual(['event.wait_for_procedures', 'group.create', 'statistics.procedure']);
  });

  it('stay what the protocol can carry', async () => {
    const much = { kind: 'command', subject: 'dump.servers', total: 2 ** 31 } as const;
    await node.store.addCounts([
      { ...much, event: 'called' },
      { ...much, event: 'failed' },
    ]);
    const { rows } = await call('statistics.procedure', 'dump');
    expect(rows).toEqual([{ proc_name: 'dump.servers', call_count: 2 ** 31 - 1, call_abort: 2 ** 31 - 1 }]);
  });
});

describe('manage', () => {
  it('explains its commands', async () => {
    expect((await call('manage.help', 'group', 'add')).rows).toEqual([
      {
        command: 'group.add',
        arguments: 'group_id address [timeout=NONE] [update_only=false] [synchronous=true]',
        description: expect.stringMatching(/^Add a server/),
      },
    ]);
    expect((await call('manage.help', 'dump')).rows.length).toBe(6);
    expect((await call('manage.help')).rows.length).toBeGreaterThan(30);
    expect(await refusal('manage.help', 'group', 'nosuch')).toBe('There is no command (group.nosuch).');
  });

  it('changes the level of a log that can, and says what there is', async () => {
    expect(await refusal('manage.logging_level', 'mysql.fabric', 'DEBUG')).toContain('embeds this node');
    expect(await refusal('manage.logging_level', 'os', 'DEBUG')).toContain('There is no module (os)');
    expect(await refusal('manage.logging_level', 'mysql.fabric', 'LOUD')).toContain('DEBUG');
  });

  it('stops the node, which answers that', async () => {
    const stopped = node.fabric.stopped();
    await call('manage.stop');
    await stopped;
    await expect(call('manage.ping')).rejects.toThrow('not running');
    await node.fabric.start();
    await call('manage.ping');
  });
});
