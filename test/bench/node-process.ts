import { createFabric } from 'mysql2-fabric/fabric';
import { accounts } from 'mysql2-fabric/testing';
import { fabricAccount } from './sandbox.js';

/** A Fabric node in a process of its own: tells its port, and its CPU time (µs) when asked. Ends with its parent. */

const [group, ...addresses] = process.argv.slice(2);
const fabric = createFabric({
  servers: accounts.fabric,
  protocol: { xmlrpc: { address: '127.0.0.1:0', ...fabricAccount } },
});
await fabric.start();
await fabric.call('group.create', group);
// The servers belong to the parent's group already; here they are only rows.
for (const address of addresses) await fabric.call('group.add', group, address, null, true);
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system });
});
process.on('disconnect', () => process.exit());
process.send?.({ port: fabric.address.xmlrpc.port });
