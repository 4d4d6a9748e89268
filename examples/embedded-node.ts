/** A Fabric node inside your own program, with a group of the servers in MYSQL_SERVERS (host:port,host:port,...). */
import { once } from 'node:events';
import { createFabric } from 'mysql2-fabric/fabric';

const servers = (process.env.MYSQL_SERVERS ?? '127.0.0.1:33061,127.0.0.1:33062,127.0.0.1:33063').split(',');
const group = process.env.FABRIC_GROUP ?? 'my_group';

const fabric = createFabric({
  // an account that every server has: it manages them, and they replicate with it
  servers: { user: process.env.SERVERS_USER ?? 'fabric', password: process.env.SERVERS_PASSWORD ?? 'fabric' },
  protocol: {
    xmlrpc: {
      address: process.env.FABRIC_ADDRESS ?? '127.0.0.1:32274',
      user: process.env.FABRIC_USER ?? 'admin',
      password: process.env.FABRIC_PASSWORD ?? 'adminpw',
    },
  },
  failureTracking: { detections: 3, detectionInterval: 3 },
  log: { debug() {}, info: console.log, warn: console.warn, error: console.error },
});

await fabric.start();
await fabric.call('group.create', group);
for (const server of servers) await fabric.call('group.add', group, server);
await fabric.call('group.promote', group);
await fabric.call('group.activate', group);

const { rows } = await fabric.call('group.lookup_servers', group);
for (const { address, status, mode } of rows) console.log(address, status, mode);
const ended = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
console.log(`ready at ${fabric.address.xmlrpc.host}:${fabric.address.xmlrpc.port}`);

await ended;
await fabric.stop();
