import { createFabric, type Fabric } from 'mysql2-fabric/fabric';
import { APP_DATABASE, accounts, Mysqld } from 'mysql2-fabric/testing';

/** Real servers and a real Fabric node for the benchmarks. */

export const GROUP = 'bench';
export const fabricAccount = { user: 'admin', password: 'bench' } as const;

export interface Sandbox {
  readonly servers: readonly Mysqld[];
  readonly fabric: Fabric;
  /** For `createPool` of mysql2-fabric. */
  readonly clientOptions: {
    readonly fabric: { host: string; port: number; user: string; password: string };
    readonly group: string;
    readonly user: string;
    readonly password: string;
    readonly database: string;
  };
  stop(): Promise<void>;
}

export async function startSandbox(count: number): Promise<Sandbox> {
  const servers = await Promise.all(Array.from({ length: count }, () => Mysqld.start()));
  const fabric = createFabric({
    servers: accounts.fabric,
    protocol: { xmlrpc: { address: '127.0.0.1:0', ...fabricAccount } },
  });
  await fabric.start();
  await fabric.call('group.create', GROUP);
  for (const server of servers) await fabric.call('group.add', GROUP, server.address);
  await fabric.call('group.promote', GROUP, servers[0]?.address);
  await fabric.call('group.activate', GROUP);
  return {
    servers,
    fabric,
    clientOptions: {
      fabric: { ...fabric.address.xmlrpc, ...fabricAccount },
      group: GROUP,
      ...accounts.app,
      database: APP_DATABASE,
    },
    async stop() {
      await fabric.stop();
      await Promise.all(servers.map(server => server.remove()));
    },
  };
}
