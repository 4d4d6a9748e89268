import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFabric, type Fabric } from '../../src/fabric.js';
import { accounts, FaultProxy, type Mysqld, startMysqlds } from '../../src/testing.js';

/** A procedure hangs on a server that is silent: the others of its group wait for it, readers and other groups don't. */

let servers: Mysqld[];
let proxy: FaultProxy;
let fabric: Fabric;

beforeAll(async () => {
  servers = await startMysqlds(4);
  const [first, second, third, fourth] = servers as [Mysqld, Mysqld, Mysqld, Mysqld];
  proxy = await FaultProxy.start({ port: second.port });
  fabric = createFabric({
    servers: accounts.fabric,
    protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
  });
  await fabric.start();
  for (const [group, members] of [
    ['hanging', [first, proxy]],
    ['other', [third, fourth]],
  ] as const) {
    await fabric.call('group.create', group);
    for (const { address } of members) await fabric.call('group.add', group, address);
    await fabric.call('group.promote', group, members[0].address);
  }
}, 600_000);
afterAll(async () => {
  await fabric.stop();
  await proxy.stop();
  await Promise.all(servers.map(server => server.remove()));
});

test('a promotion that hangs holds up its group, but no reader and no other group', async () => {
  const order: string[] = [];
  const noted = <T>(name: string, work: Promise<T>) =>
    work.then(
      () => order.push(name),
      () => order.push(`${name} failed`),
    );
  proxy.blackhole();
  const hanging = noted('promote', fabric.call('group.promote', 'hanging', proxy.address));
  const queued = noted('queued', fabric.call('server.set_weight', proxy.address, 0.5));
  const began = performance.now();
  for (const [name, ...args] of [
    ['dump.servers'],
    ['group.lookup_servers', 'hanging'],
    ['group.lookup_groups'],
    ['server.lookup_uuid', servers[2]?.address],
  ] as const) {
    const { rows } = await fabric.call(name, ...args);
    expect(rows.length).toBeGreaterThan(0);
    order.push(name);
  }
  console.log(`four answers beside a procedure that hangs: ${Math.round(performance.now() - began)} ms`);
  await fabric.call('group.promote', 'other', servers[3]?.address);
  order.push('the other group');
  await Promise.all([hanging, queued]);
  expect(order).toEqual([
    'dump.servers',
    'group.lookup_servers',
    'group.lookup_groups',
    'server.lookup_uuid',
    'the other group',
    'promote failed',
    'queued',
  ]);
  const { rows } = await fabric.call('group.lookup_servers', 'hanging');
  expect(rows.map(({ status, weight }) => [status, weight]).sort()).toEqual([
    ['PRIMARY', 1],
    ['SECONDARY', 0.5],
  ]);
});
