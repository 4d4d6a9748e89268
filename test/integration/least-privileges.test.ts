import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createMysqlDatabase, createMysqlStore } from '../../src/fabric/store/mysql.js';
import { dropTables } from '../../src/fabric/store/schema.js';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { AcceptanceNode, following, quietly, writable } from './acceptance-node.js';
import { until } from './ha-group.js';
import { accountBlock, manualBlocks, statements } from './manual.js';

/** The accounts that docs/operating.md makes can do all that is asked of them, and each of their privileges is asked for. */

const ACCOUNT = { user: 'modest', password: 'change-me' };
const named = (statement: string) => statement.replaceAll("'fabric'@", `'${ACCOUNT.user}'@`);

describe.each(['9.7', '5.6'])('the account of the node on MySQL %s', version => {
  let servers: Mysqld[];
  let first: Mysqld;
  let second: Mysqld;
  let third: Mysqld;
  let node: AcceptanceNode;

  const privileges = statements(accountBlock(version)).flatMap(
    statement => /^GRANT (.+) ON \*\.\* TO /.exec(statement)?.[1]?.split(', ') ?? [],
  );

  beforeAll(async () => {
    servers = await startMysqlds(3, { version });
    [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
    for (const server of servers) await quietly(server, ...statements(accountBlock(version)).map(named));
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => node?.stop());

  const start = () =>
    AcceptanceNode.start(servers, { servers: ACCOUNT, failureTracking: { detections: 3, detectionInterval: 1 } });
  const healthy = async () => {
    const { resultSets } = await node.call('group.health', 'g');
    const rows = resultSets[0]?.rows.map(row => row.slice(1, 7)) ?? [];
    return rows.every(([alive, , ...wrong]) => alive === true && !wrong.includes(true)) && !resultSets[1]?.rows.length;
  };

  test('is enough to promote, fail over, fence, take back, and tell the health', async () => {
    node = await start();
    await node.form('g', first, second, third);
    await node.call('group.promote', 'g', second.address);
    await node.call('group.promote', 'g', first.address);
    expect(await healthy()).toBe(true);
    await node.call('group.activate', 'g');
    const client = await first.connect({ user: 'app', password: 'app' });
    client.on('error', () => {});
    await node.call('threat.report_failure', first.address);
    await expect(client.query('DO 1')).rejects.toThrow();
    client.destroy();
    expect(await writable(first)).toBe(false);
    await node.call('server.set_status', first.address, 'SPARE');
    await node.call('server.set_status', first.address, 'SECONDARY');

    const lost = await node.primary('g');
    await lost?.kill();
    await until(async () => (await node.primary('g')) !== lost);
    await lost?.start();
    await until(async () => node.sentences.some(sentence => sentence.endsWith('came back and is fenced')));
    await node.call('server.set_status', lost?.address, 'SPARE');
    await node.call('server.set_status', lost?.address, 'SECONDARY');
    expect(await following(lost as Mysqld)).toBe(`running/running ${(await node.primary('g'))?.port}`);
    expect(await healthy()).toBe(true);
    await node.call('group.demote', 'g');
    expect(await Promise.all(servers.map(writable))).toEqual([false, false, false]);
  });

  test.each(privileges)('without %s is refused', async privilege => {
    node = await start();
    await node.call('group.create', 'g');
    await quietly(first, `REVOKE ${privilege} ON *.* FROM '${ACCOUNT.user}'@'%'`);
    try {
      expect(await node.refusal('group.add', 'g', first.address)).toContain(`lacks the privilege ${privilege}`);
    } finally {
      await quietly(first, `GRANT ${privilege} ON *.* TO '${ACCOUNT.user}'@'%'`);
    }
    await node.call('group.add', 'g', first.address);
  });

  test('of the state store is enough to make it, use it and remove it', async () => {
    const [, , block = ''] = manualBlocks('docs/operating.md', '## Accounts', 'sql');
    await quietly(first, ...statements(block));
    const settings = {
      ...{ host: first.host, port: first.port, user: 'fabric_state', password: 'change-me', database: 'fabric' },
      ...{ connectionTimeout: 2, connectionAttempts: 1, connectionDelay: 0.1 },
    };
    const store = createMysqlStore(settings);
    await store.open();
    const group = { id: 'g', description: null, active: false, primary: null, primarySince: null, baseline: null };
    const stored = await store.createGroup({ ...group, servers: [] });
    await store.saveGroup({ ...stored, description: 'changed' });
    expect(await store.groups()).toMatchObject([{ id: 'g', description: 'changed' }]);
    await store.close();
    const database = createMysqlDatabase(settings);
    await database.open();
    await database.alter(dropTables);
    await database.close();
  });
});
