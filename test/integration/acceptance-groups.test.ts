import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { accounts, Mysqld, startMysqlds } from '../../src/testing.js';
import { AcceptanceNode, following, quietly, writable } from './acceptance-node.js';

/** Groups and servers: docs/compatibility.md says which behaviour of the original each test stands for. */

const STRANGER = '11111111-2222-3333-4444-555555555555';
const MODES = ['OFFLINE', 'READ_ONLY', 'WRITE_ONLY', 'READ_WRITE'] as const;

describe.each(['9.7', '5.6'])('groups and servers on MySQL %s', version => {
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

  const forgetSource = version === '5.6' ? 'RESET SLAVE ALL' : 'RESET REPLICA ALL';
  const stopReplication = version === '5.6' ? 'STOP SLAVE' : 'STOP REPLICA';

  test('without groups a lookup has one empty set of rows', async () => {
    node = await AcceptanceNode.start([]);
    const columns = ['group_id', 'description', 'failure_detector', 'master_uuid'];
    expect((await node.call('group.lookup_groups')).resultSets).toEqual([{ columns, rows: [] }]);
  });

  test('a server joins one group, once, as SECONDARY, READ_ONLY, with weight 1', async () => {
    node = await AcceptanceNode.start(servers);
    await node.gather('g', first);
    await node.call('group.create', 'other');
    expect(await node.rows('g')).toEqual(['SECONDARY/READ_ONLY/1', '-', '-']);
    const known = `ServerError: Server (${node.uuid(first)}) already exists.`;
    expect(await node.refusal('group.add', 'g', first.address)).toBe(known);
    expect(await node.refusal('group.add', 'other', first.address)).toBe(known);
    expect(await node.refusal('group.add', 'other', `localhost:${first.port}`)).toBe(known);
    expect(await node.refusal('group.add', 'none', first.address)).toBe('GroupError: Group (none) does not exist.');
    expect(await node.rows('other')).toEqual(['-', '-', '-']);
  });

  test('servers that join a group with a primary follow it, and all are listed', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first);
    await node.call('group.add', 'g', second.address);
    await node.call('group.add', 'g', third.address);
    const secondary = 'SECONDARY/READ_ONLY/1';
    expect(await node.rows('g')).toEqual(['PRIMARY/READ_WRITE/1', secondary, secondary]);
    expect(await following(second)).toBe(`running/running ${first.port}`);
    expect(await following(third)).toBe(`running/running ${first.port}`);
    expect(await Promise.all(servers.map(writable))).toEqual([true, false, false]);
    expect((await node.call('dump.fabric_nodes')).rows).toEqual([node.fabric.address.xmlrpc]);
  });

  test('without a primary, or with update_only, a server that joins is not configured', async () => {
    node = await AcceptanceNode.start(servers);
    await node.gather('g', first);
    await node.call('group.add', 'g', second.address, null, true);
    expect(await following(first)).toBe('nobody');
    expect(await following(second)).toBe('nobody');
    expect(await writable(first)).toBe(true);
    await node.call('group.promote', 'g', first.address);
    await node.call('group.add', 'g', third.address, null, true);
    expect(await following(third)).toBe('nobody');
    expect(await node.rows('g')).toEqual(['PRIMARY/READ_WRITE/1', 'SECONDARY/READ_ONLY/1', 'SECONDARY/READ_ONLY/1']);
  });

  test('servers are found by uuid and by address, and asked for their uuid', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second);
    for (const id of [node.uuid(first), first.address]) {
      const { rows } = await node.call('group.lookup_servers', 'g', id);
      expect(rows.map(row => row.server_uuid)).toEqual([node.uuid(first)]);
    }
    expect(await node.refusal('group.lookup_servers', 'none', first.address)).toBe('Group (none) does not exist.');
    expect(await node.refusal('group.lookup_servers', 'g', third.address)).toBe(
      `Group (g) does not contain server (${third.address}).`,
    );
    expect((await node.call('server.lookup_uuid', third.address)).rows).toEqual([{ uuid: node.uuid(third) }]);
    expect(await node.refusal('server.lookup_uuid', '127.0.0.1:1', 1)).toMatch(
      /^Error accessing server \(127\.0\.0\.1:1\)\. .*ECONNREFUSED/,
    );
  });

  test('a group with servers is not destroyed; one without them is, once', async () => {
    node = await AcceptanceNode.start(servers);
    await node.gather('g', first);
    expect(await node.refusal('group.destroy', 'g')).toBe(
      'GroupError: Cannot destroy a group (g) which has associated servers.',
    );
    await node.call('group.remove', 'g', first.address);
    await node.call('group.destroy', 'g');
    expect(await node.refusal('group.destroy', 'g')).toBe('GroupError: Group (g) does not exist.');
  });

  test('a server is removed by uuid or address, but not the primary, nor one that is not there', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    expect(await node.refusal('group.remove', 'none', first.address)).toBe('GroupError: Group (none) does not exist.');
    for (const unknown of ['not-a-uuid', STRANGER, '127.0.0.1:1'])
      expect(await node.refusal('group.remove', 'g', unknown)).toBe(
        `GroupError: Group (g) does not contain server (${unknown}).`,
      );
    expect(await node.refusal('group.remove', 'g', first.address)).toBe(
      `ServerError: Cannot remove server (${node.uuid(first)}), which is master in group (g). Please, demote it first.`,
    );
    await node.call('group.remove', 'g', node.uuid(second));
    await node.call('group.remove', 'g', third.address);
    expect(await node.rows('g')).toEqual(['PRIMARY/READ_WRITE/1', '-', '-']);
  });

  test('set_status makes the moves that there are, by name and by index, and no others', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    const set = (server: string, status: unknown, ...more: unknown[]) =>
      node.call('server.set_status', server, status, ...more);
    const refused = (server: Mysqld, status: unknown, ...more: unknown[]) =>
      node.refusal('server.set_status', server.address, status, ...more);
    expect(await node.refusal('server.set_status', STRANGER, 'SPARE')).toBe(
      `ServerError: Server (${STRANGER}) does not exist.`,
    );
    await set(second.address, 'spare');
    await set(node.uuid(third), 1);
    expect(await node.rows('g')).toEqual(['PRIMARY/READ_WRITE/1', 'SPARE/OFFLINE/1', 'SPARE/OFFLINE/1']);
    expect(await following(second)).toBe(`running/running ${first.port}`);
    await set(second.address, '2');
    for (const status of ['SPARE', 'SECONDARY', 1, 2]) expect(await refused(first, status)).toContain('Cannot change');
    for (const updateOnly of [false, true]) {
      expect(await refused(second, 'PRIMARY', updateOnly)).toContain('please, use the group.promote function.');
      expect(await refused(second, 'FAULTY', updateOnly)).toContain('please, use the threat.report_failure interface.');
    }
    for (const status of [4, -1, 'BOGUS', '']) expect(await refused(second, status)).toContain('an invalid status');
    expect(await node.rows('g')).toEqual(['PRIMARY/READ_WRITE/1', 'SECONDARY/READ_ONLY/1', 'SPARE/OFFLINE/1']);
    await node.call('group.remove', 'g', third.address);
    expect(await refused(third, 'SECONDARY')).toBe(`ServerError: Server (${third.address}) does not exist.`);
  });

  test('FAULTY becomes SPARE, which configures replication unless update_only is given, and then SECONDARY', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second);
    await node.call('threat.report_failure', second.address);
    for (const status of ['SECONDARY', 'PRIMARY', 'FAULTY'])
      expect(await node.refusal('server.set_status', second.address, status)).toMatch(/^ServerError: /);
    await second.query(stopReplication);
    await second.query(forgetSource);
    await node.call('server.set_status', second.address, 'SPARE', true);
    expect(await following(second)).toBe('nobody');
    expect((await node.rows('g'))[1]).toBe('SPARE/OFFLINE/1');
    await node.call('threat.report_failure', node.uuid(second));
    await node.call('server.set_status', second.address, 'SPARE');
    expect(await following(second)).toBe(`running/running ${first.port}`);
    await node.call('server.set_status', second.address, 'SECONDARY');
    expect((await node.rows('g'))[1]).toBe('SECONDARY/READ_ONLY/1');
  });

  test('another server at the address of a FAULTY one does not take its place', async () => {
    node = await AcceptanceNode.start(servers);
    const lost = await Mysqld.start({ version });
    try {
      await node.form('g', first, second);
      await node.call('group.add', 'g', lost.address);
      await lost.kill();
      await node.call('threat.report_failure', lost.address);
    } finally {
      await lost.remove();
    }
    const other = await Mysqld.start({ version, port: lost.port });
    try {
      const refusal = await node.refusal('server.set_status', lost.address, 'SPARE');
      expect(refusal).toMatch(/^ServerError: At 127\.0\.0\.1:\d+ answers server \(\S+\), not \(\S+\)\.$/);
      expect(await following(other)).toBe('nobody');
    } finally {
      await other.remove();
    }
  });

  test('set_weight keeps what is over 0 and at most 1, of a server by uuid or address', async () => {
    node = await AcceptanceNode.start(servers);
    await node.gather('g', first);
    expect(await node.refusal('server.set_weight', STRANGER, 0.5)).toContain('does not exist');
    expect(await node.refusal('server.set_weight', second.address, 0.5)).toContain('does not exist');
    for (const weight of [0, -1, 'text', 'nan', 'inf', 1.5])
      expect(await node.refusal('server.set_weight', first.address, weight)).toMatch(/^ServerError: /);
    expect(await node.rows('g')).toEqual(['SECONDARY/READ_ONLY/1', '-', '-']);
    await node.call('server.set_weight', first.address, 0.1);
    expect(await node.rows('g')).toEqual(['SECONDARY/READ_ONLY/0.1', '-', '-']);
    await node.call('server.set_weight', node.uuid(first), '1.0');
    expect(await node.rows('g')).toEqual(['SECONDARY/READ_ONLY/1', '-', '-']);
  });

  test('set_mode stores the modes that each status has, by name and by index', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second, third);
    await node.call('server.set_status', third.address, 'SPARE');
    const allowed = async (server: Mysqld) => {
      const index = servers.indexOf(server);
      const stored: string[] = [];
      for (const [code, mode] of MODES.entries()) {
        const before = (await node.rows('g'))[index];
        for (const given of [mode.toLowerCase(), code, String(code)]) {
          const error = await node.call('server.set_mode', server.address, given).catch(reason => reason);
          const after = (await node.rows('g'))[index] ?? '';
          if (error instanceof Error) expect(after).toBe(before);
          else stored.push(after.split('/')[1] ?? '');
        }
      }
      return [...new Set(stored)];
    };
    expect(await allowed(first)).toEqual(['WRITE_ONLY', 'READ_WRITE']);
    expect(await allowed(second)).toEqual(['OFFLINE', 'READ_ONLY']);
    expect(await allowed(third)).toEqual(['OFFLINE', 'READ_ONLY']);
    expect(await writable(second)).toBe(false);
    for (const mode of [4, -1, 'BOGUS'])
      expect(await node.refusal('server.set_mode', second.address, mode)).toContain('an invalid mode');
    expect((await node.rows('g'))[1]).toBe('SECONDARY/READ_ONLY/1');
    await node.call('threat.report_failure', third.address);
    expect(await allowed(third)).toEqual([]);
  });

  test('activate and deactivate are stored, may be repeated, and need a group', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first);
    for (const [command, active] of [
      ['activate', true],
      ['activate', true],
      ['deactivate', false],
      ['deactivate', false],
    ] as const) {
      await node.call(`group.${command}`, 'g');
      expect((await node.call('group.lookup_groups', 'g')).rows[0]?.failure_detector).toBe(active);
      expect(await node.refusal(`group.${command}`, 'none')).toBe('GroupError: Group (none) does not exist.');
    }
  });

  test('a wrong password or a missing privilege keeps a server out; an address without a port gets 3306', async () => {
    node = await AcceptanceNode.start(servers, { servers: { user: 'fabric', password: 'wrong' } });
    await node.call('group.create', 'g');
    expect(await node.refusal('group.add', 'g', first.address)).toMatch(/^DatabaseError: .*ER_ACCESS_DENIED_ERROR/);
    expect(await node.refusal('server.lookup_uuid', '127.0.0.1', 1)).toMatch(
      /^Error accessing server \(127\.0\.0\.1:3306\)\. ./,
    );
    await node.stop();
    if (version !== '5.6') await quietly(first, "CREATE USER 'poor'@'%' IDENTIFIED BY 'poor'");
    await quietly(
      first,
      `GRANT REPLICATION CLIENT, PROCESS, RELOAD, SUPER ON *.* TO 'poor'@'%' ${version === '5.6' ? "IDENTIFIED BY 'poor'" : ''}`,
    );
    node = await AcceptanceNode.start(servers, { servers: { user: 'poor', password: 'poor' } });
    await node.call('group.create', 'g');
    expect(await node.refusal('group.add', 'g', first.address)).toContain('lacks the privilege REPLICATION SLAVE');
    expect(await node.rows('g')).toEqual(['-', '-', '-']);
  });

  test('the server that keeps the state of the node is not managed', async () => {
    const storage = { type: 'mysql', address: third.address, ...accounts.fabric, database: 'state' } as const;
    node = await AcceptanceNode.start(servers, { storage });
    await node.gather('g', first);
    const refusal = await node.refusal('group.add', 'g', third.address);
    await node.stop();
    await quietly(third, 'DROP DATABASE state');
    expect(refusal).toBe(
      `ServerError: Server (${node.uuid(third)}) cannot be managed: it keeps the state of this node.`,
    );
  });

  test('a candidate whose account has lost REPLICATION SLAVE is not promoted', async () => {
    node = await AcceptanceNode.start(servers);
    await node.form('g', first, second);
    const account = accounts.fabric.user;
    await quietly(second, `REVOKE REPLICATION SLAVE ON *.* FROM '${account}'@'%'`, 'FLUSH PRIVILEGES');
    try {
      expect(await node.refusal('group.promote', 'g', second.address)).toContain('REPLICATION SLAVE');
      expect(await node.rows('g')).toEqual(['PRIMARY/READ_WRITE/1', 'SECONDARY/READ_ONLY/1', '-']);
    } finally {
      await quietly(second, `GRANT REPLICATION SLAVE ON *.* TO '${account}'@'%'`);
    }
  });
});
