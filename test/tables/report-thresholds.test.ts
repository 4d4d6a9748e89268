import { afterEach, describe, expect, it } from 'vitest';
import { declareFaulty } from '../../src/fabric/procedures/declare-faulty.js';
import { createFakeFabric, type FakeFabric, UUIDS } from '../fakes/fake-fabric.js';

/** The classic rule of `threat.report_error`, with its defaults: 300 reports of 50 clients within 60 seconds. */

interface Burst {
  readonly reports: number;
  readonly clients: number;
  /** Seconds after the burst before it. */
  readonly after: number;
}

const burst = (reports: number, clients: number, after = 0): Burst => ({ reports, clients, after });

const CASES: readonly [name: string, bursts: readonly Burst[], faulty: boolean][] = [
  ['299 reports of 50 clients', [burst(299, 50)], false],
  ['300 reports of 49 clients', [burst(300, 49)], false],
  ['300 reports of 50 clients', [burst(300, 50)], true],
  ['150 reports, 60 s pause, 150 more', [burst(150, 50), burst(150, 50, 60)], true],
  ['150 reports, 61 s pause, 150 more', [burst(150, 50), burst(150, 50, 61)], false],
  ['many reports of one client', [burst(600, 1)], false],
];

let node: FakeFabric;
afterEach(() => node.fabric.stop());

async function report({ reports, clients, after }: Burst, server: string): Promise<void> {
  node.now += after * 1_000;
  for (let n = 0; n < reports; n += 1) {
    await node.fabric.call('threat.report_error', server, `client-${n % clients}`, '2013');
  }
}

async function statusOf(uuid: string): Promise<number | undefined> {
  const group = await node.store.groupOfServer(uuid);
  return group?.servers.find(server => server.uuid === uuid)?.status;
}

describe('threat.report_error', () => {
  it.each(CASES)('%s', async (_name, bursts, faulty) => {
    node = await createFakeFabric();
    for (const each of bursts) await report(each, UUIDS[0]);
    expect(await statusOf(UUIDS[0])).toBe(faulty ? 0 : 2);
  });

  it('fails a reported primary over, whether the group is active or not', async () => {
    node = await createFakeFabric({ failureTracking: { notifications: 1, notificationClients: 1 } });
    await node.fabric.call('threat.report_error', '127.0.0.1:34004', 'tester', 2013);
    const group = await node.store.group('my_group');
    expect(group?.primary).not.toBe(UUIDS[2]);
    expect(UUIDS.slice(0, 2)).toContain(group?.primary);
    expect(await statusOf(UUIDS[2])).not.toBe(3);
  });

  it('only marks the primary with update_only', async () => {
    node = await createFakeFabric({ failureTracking: { notifications: 1, notificationClients: 1 } });
    await node.fabric.call('threat.report_error', UUIDS[2], 'tester', 2013, true);
    expect(await node.store.group('my_group')).toMatchObject({ primary: UUIDS[2] });
    expect(await statusOf(UUIDS[2])).toBe(0);
  });

  it('respects failover_interval, which threat.report_failure does not', async () => {
    node = await createFakeFabric({
      failureTracking: { notifications: 1, notificationClients: 1, failoverInterval: 3_600 },
    });
    const group = await node.store.group('my_group');
    if (group) await node.store.saveGroup({ ...group, primarySince: node.now - 60_000 });
    await node.fabric.call('threat.report_error', UUIDS[2], 'tester', 2013).catch(() => {});
    expect(await statusOf(UUIDS[2])).toBe(3);
    await node.fabric.call('threat.report_failure', UUIDS[2], 'tester', 2013);
    expect((await node.store.group('my_group'))?.primary).not.toBe(UUIDS[2]);
  });

  const verdicts = async () => (await node.store.decisions('my_group', 100)).filter(({ event }) => event === 'faulty');

  it('fences a primary that nobody can replace once, not for each report more', async () => {
    node = await createFakeFabric({ failureTracking: { notifications: 6, notificationClients: 2 } });
    for (const other of UUIDS.slice(0, 2)) await node.fabric.call('group.remove', 'my_group', other);
    const storm = (count: number) =>
      Promise.allSettled(Array.from({ length: count }, () => report(burst(2, 2), UUIDS[2])));
    await storm(20);
    expect(await verdicts()).toHaveLength(1);
    expect(await statusOf(UUIDS[2])).toBe(3);
    node.now += 1;
    await storm(2);
    expect(await verdicts()).toHaveLength(1);
    await storm(1);
    expect(await verdicts()).toHaveLength(2);
  });

  it('judges again when its turn has come: what was said of a server before a promotion counts no more', async () => {
    node = await createFakeFabric({ failureTracking: { notifications: 3, notificationClients: 2 } });
    await report(burst(2, 2), UUIDS[2]);
    await Promise.all([node.fabric.call('group.promote', 'my_group', UUIDS[0]), report(burst(1, 1), UUIDS[2])]);
    expect(await statusOf(UUIDS[2])).toBe(2);
    node.now += 1;
    await report(burst(2, 2), UUIDS[2]);
    expect(await verdicts()).toEqual([]);
    await report(burst(1, 1), UUIDS[2]);
    expect(await statusOf(UUIDS[2])).toBe(0);
  });

  it('does not count against a repaired server what was said while it was FAULTY', async () => {
    node = await createFakeFabric({ failureTracking: { notifications: 2, notificationClients: 1 } });
    await report(burst(6, 2), UUIDS[0]);
    expect(await statusOf(UUIDS[0])).toBe(0);
    await node.fabric.call('server.set_status', UUIDS[0], 'SPARE');
    await report(burst(1, 1), UUIDS[0]);
    expect(await statusOf(UUIDS[0])).toBe(1);
  });

  it('goes on with the failover of a primary that a killed node had marked, though its reports are forgotten', async () => {
    node = await createFakeFabric();
    await node.fabric.stop();
    const group = await node.store.group('my_group');
    if (!group) throw new Error('no group');
    const servers = group.servers.map(each => (each.uuid === UUIDS[2] ? { ...each, status: 0 as const } : each));
    await node.store.saveGroup({ ...group, servers });
    const report = { group: 'my_group', server: UUIDS[2], reporter: 'app', error: '2013' };
    const { name, data } = declareFaulty({
      ...report,
      ...{ updateOnly: false, respectFailoverInterval: true, byReports: true },
    });
    const run = { uuid: 'left', procedure: name, group: 'my_group', step: 0, data: JSON.stringify(data) };
    await node.store.saveRun({ ...run, finished: false, error: null, events: [] });
    await node.fabric.start();
    expect(UUIDS.slice(0, 2)).toContain((await node.store.group('my_group'))?.primary);
  });
});
