/** Compiled, never run: an embedded node, and real servers for an application's own tests. */
import { CommandError, createFabric, type Fabric, type FabricNodeOptions, type Log } from 'mysql2-fabric/fabric';
import { accounts, FaultProxy, Mysqld, startMysqlds, type TestServer, testServers } from 'mysql2-fabric/testing';

const log: Log = { debug() {}, info: console.log, warn: console.warn, error: console.error };
const options: FabricNodeOptions = {
  servers: { user: 'fabric', password: 'secret' },
  protocol: { xmlrpc: { address: '127.0.0.1:0', user: 'admin', password: 'secret' } },
  failureTracking: { detections: 3, detectionInterval: 3 },
  log,
};

async function usage(): Promise<string> {
  const fabric: Fabric = createFabric(options);
  await fabric.start();
  try {
    const { rows, ttl } = await fabric.call('group.lookup_servers', 'shop');
    const server: Mysqld = await Mysqld.start({ version: '9.7', options: { max_connections: 50 } });
    const [other]: Mysqld[] = await startMysqlds(1);
    const servers: TestServer[] = await testServers(2);
    const proxy = await FaultProxy.start({ host: server.host, port: server.port });
    return [rows[0]?.status, ttl, other?.address, servers.length, proxy.port, accounts.app.user].join();
  } catch (error) {
    if (error instanceof CommandError) return error.kind;
    throw error;
  } finally {
    await fabric.stop();
  }
}

// @ts-expect-error the servers' password must be given
createFabric({ servers: { user: 'fabric' } });

export { usage };
