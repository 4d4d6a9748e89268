import { afterAll, beforeAll, expect, it } from 'vitest';
import { FabricRpc } from '../../src/client/fabric-rpc.js';
import { FaultProxy } from '../../src/testing.js';
import { tool } from '../unit/cli/tool.js';
import { Cluster, until } from './cluster.js';

/** A network that loses the answers of a node: what changes something is done once. */

let cluster: Cluster;
let proxy: FaultProxy;
beforeAll(async () => {
  cluster = await Cluster.start(2);
  proxy = await FaultProxy.start(cluster.fabric.address.xmlrpc);
});
afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

const decisions = async (event: string) =>
  (await cluster.call('event.log', Cluster.group)).rows.filter(row => row.event === event);
const underWay = async () => (await cluster.call('event.under_way')).rows;

it('group promote is carried out once when its connection is reset, and the tool says what it does not know', async () => {
  const [next] = await cluster.secondaries();
  const before = (await decisions('promoted')).length;
  const env = {
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: proxy.address,
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: Cluster.fabricAccount.password,
  };
  next?.pause();
  const promoting = tool(`group promote ${Cluster.group}`, { env });
  await until('it is under way', async () => (await underWay()).length > 0);
  proxy.cut();
  next?.resume();
  const { status, out, err } = await promoting;
  expect({ status, out }).toEqual({ status: 1, out: '' });
  expect(err).toMatch(
    /No Fabric node answered group\.promote: .*\nThe node has ended, or .*\nThe change may be under way/,
  );
  expect(err).toContain("'mysqlfabric event log'");
  await until('it is done', async () => (await cluster.statuses())[next?.address ?? ''] === 'PRIMARY');
  await until('nothing is under way', async () => (await underWay()).length === 0);
  expect((await cluster.primary()).address).toBe(next?.address);
  expect(await decisions('promoted')).toHaveLength(before + 1);
});

it('a client looks again where its kept connection was reset, and reports over one of its own', async () => {
  const { host, port } = proxy;
  const rpc = new FabricRpc([{ host, port, ...Cluster.fabricAccount, tls: null }], 5_000);
  await rpc.topology(Cluster.group);
  proxy.cut();
  expect((await rpc.topology(Cluster.group)).servers).toHaveLength(2);
  proxy.cut();
  const { address } = await cluster.primary();
  await rpc.reportError(address, 'test', 'none');
  const counted = await cluster.call('statistics.procedure', 'threat.report_error');
  expect(counted.rows).toMatchObject([{ call_count: 1 }]);
  rpc.close();
});
