import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { AcceptanceNode, following, writable } from './acceptance-node.js';

/** Failure tracking: docs/compatibility.md says which behaviour of the original each test stands for. */

const FAULTY_PRIMARY = 'FAULTY/READ_WRITE/1';
const FAULTY = 'FAULTY/READ_ONLY/1';
const PRIMARY = 'PRIMARY/READ_WRITE/1';
const SECONDARY = 'SECONDARY/READ_ONLY/1';

describe.each(['9.7', '5.6'])('reports against servers on MySQL %s', version => {
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

  const start = (notifications: number, notificationClients: number) =>
    AcceptanceNode.start(servers, { failureTracking: { notifications, notificationClients } });

  test('against a server that nobody knows are refused', async () => {
    node = await start(1, 1);
    await node.gather('g', first);
    for (const command of ['threat.report_error', 'threat.report_failure'])
      for (const unknown of [second.address, node.uuid(second)])
        expect(await node.refusal(command, unknown)).toBe(`ServerError: Server (${unknown}) does not exist.`);
  });

  test('that are too few, or of too few clients, change nothing; the one that completes them does', async () => {
    node = await start(3, 2);
    await node.form('g', first, second, third);
    for (let report = 0; report < 3; report += 1)
      await node.call('threat.report_error', second.address, 'client 1', 2013);
    expect(await node.rows('g')).toEqual([PRIMARY, SECONDARY, SECONDARY]);
    await node.call('threat.report_error', node.uuid(second), 'client 2', 2013);
    expect(await node.rows('g')).toEqual([PRIMARY, FAULTY, SECONDARY]);
  });

  test.each(['threat.report_error', 'threat.report_failure'])(
    '%s of a primary has a successor chosen',
    async command => {
      node = await start(1, 1);
      await node.form('g', first, second, third);
      await node.call(command, node.uuid(first), 'client', 2013);
      const rows = await node.rows('g');
      expect(rows[0]).toBe(FAULTY_PRIMARY);
      expect(rows.slice(1).sort()).toEqual([PRIMARY, SECONDARY]);
      const primary = await node.primary('g');
      expect(await writable(first)).toBe(false);
      const other = primary === second ? third : second;
      expect(await following(other)).toBe(`running/running ${primary?.port}`);
      const { rows: dumped } = await node.call('dump.servers', 0, 'g');
      expect(dumped.map(row => row.server_uuid)).not.toContain(node.uuid(first));
    },
  );

  test.each(['threat.report_error', 'threat.report_failure'])('%s of a spare marks it alone', async command => {
    node = await start(1, 1);
    await node.form('g', first, second);
    await node.call('server.set_status', second.address, 'SPARE');
    await node.call(command, second.address, 'client', 2013);
    expect(await node.rows('g')).toEqual([PRIMARY, 'FAULTY/OFFLINE/1', '-']);
    expect(await node.primary('g')).toBe(first);
  });

  test.each(['threat.report_error', 'threat.report_failure'])(
    '%s with update_only marks a primary, which stays the group’s until a promote',
    async command => {
      node = await start(1, 1);
      await node.form('g', first, second);
      await node.call(command, first.address, 'client', 2013, true);
      expect(await node.rows('g')).toEqual([FAULTY_PRIMARY, SECONDARY, '-']);
      expect(await node.primary('g')).toBe(first);
      expect(await writable(first)).toBe(false);
      await node.call('group.promote', 'g');
      expect(await node.rows('g')).toEqual([FAULTY_PRIMARY, PRIMARY, '-']);
    },
  );
});
