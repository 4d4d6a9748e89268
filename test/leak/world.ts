import { randomUUID } from 'node:crypto';
import { createFabric } from '../../src/fabric.js';
import { APP_DATABASE, accounts, Mysqld } from '../../src/testing.js';
import { aServer, startScriptedNode } from '../fakes/scripted-node.js';

/**
 * All that the measured process talks to, in a process of its own: real servers; a real Fabric node that changes their group when it is told
 * to; and a node whose group has servers that were never heard of before, at the same addresses, after each change. Ends with its parent.
 */

export interface World {
  /** Ports of XML-RPC: the real node's, and that of the node with ever new servers. */
  readonly real: number;
  readonly everNew: number;
}

const GROUP = 'g';
process.on('disconnect', () => process.exit());

const fabric = createFabric({
  servers: accounts.fabric,
  protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
});
const scripted = await startScriptedNode();
const servers = await Promise.all([Mysqld.start(), Mysqld.start()]);
const [first, second] = servers;
await fabric.start();
await fabric.call('group.create', GROUP);
for (const { address } of servers) await fabric.call('group.add', GROUP, address);
await fabric.call('group.promote', GROUP, first.address);
await first.query(`CREATE TABLE ${APP_DATABASE}.leak (id INT PRIMARY KEY, n INT NOT NULL)`);
await first.query(`INSERT INTO ${APP_DATABASE}.leak VALUES ${Array.from({ length: 100 }, (_, id) => `(${id}, 0)`)}`);

type Deed = (n: number, other: string) => Promise<unknown>;

/** What only the node's record tells. */
const QUICK: readonly Deed[] = [
  n => fabric.call('server.set_weight', first.address, (1 + (n % 9)) / 10),
  (_n, other) => fabric.call('server.set_mode', other, 'OFFLINE'),
  n => fabric.call('server.set_weight', second.address, (1 + (n % 9)) / 10),
  (_n, other) => fabric.call('server.set_mode', other, 'READ_ONLY'),
  (_n, other) => fabric.call('server.set_status', other, 'SPARE'),
  (_n, other) => fabric.call('server.set_status', other, 'SECONDARY'),
];

/** They take turns; `other` is the server that is not the primary. */
const DEEDS: readonly Deed[] = [
  (_n, other) => fabric.call('group.promote', GROUP, other),
  (_n, other) => fabric.call('group.remove', GROUP, other),
  (_n, other) => fabric.call('group.add', GROUP, other),
  ...Array.from({ length: 6 }, () => QUICK).flat(),
];

/** The server that is not the primary, in the group or not. */
async function other(): Promise<string> {
  const { rows } = await fabric.call('group.lookup_servers', GROUP);
  const primary = rows.find(({ status }) => status === 'PRIMARY');
  return primary?.address === first.address ? second.address : first.address;
}

/** Each number that the parent sends is a change, and comes back when both nodes know it. */
process.on('message', async (n: number) => {
  scripted.calls.length = 0;
  scripted.servers = [
    aServer(first.port, { uuid: randomUUID() }),
    aServer(second.port, { uuid: randomUUID(), mode: 1, status: 2 }),
  ];
  await DEEDS[n % DEEDS.length]?.(n, await other());
  process.send?.(n);
});
process.send?.({ real: fabric.address.xmlrpc.port, everNew: scripted.port } satisfies World);
