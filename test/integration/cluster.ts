import type { FabricPoolOptions } from '../../src/client/options.js';
import { type CallResult, createFabric, type Fabric, type FabricNodeOptions } from '../../src/fabric.js';
import { APP_DATABASE, accounts, type TestServer, testServers } from '../../src/testing.js';

/** Real servers, a real Fabric node that serves XML-RPC over HTTP, and a group of all of them: what an application meets. */
export class Cluster {
  static readonly group = 'my_group';
  static readonly fabricAccount = { user: 'admin', password: 'adminpw' } as const;
  readonly sentences: string[] = [];

  private constructor(
    readonly servers: readonly TestServer[],
    readonly fabric: Fabric,
    sentences: string[],
  ) {
    this.sentences = sentences;
  }

  /**
   * @param settings of the node, beside what makes it reachable.
   * @param options of the servers.
   */
  static async start(
    count: number,
    settings: Partial<FabricNodeOptions> = {},
    options: Parameters<typeof testServers>[1] = {},
  ): Promise<Cluster> {
    const servers = await testServers(count, options);
    const sentences: string[] = [];
    const say = (sentence: string): void => {
      sentences.push(`${new Date().toISOString()} ${sentence}`);
    };
    const fabric = createFabric({
      servers: accounts.fabric,
      protocol: { xmlrpc: { address: '127.0.0.1:0', ...Cluster.fabricAccount } },
      failureTracking: { detectionInterval: 3, detections: 3 },
      log: { debug: () => {}, info: say, warn: say, error: say },
      ...settings,
    });
    await fabric.start();
    const cluster = new Cluster(servers, fabric, sentences);
    await cluster.#form();
    return cluster;
  }

  async #form(): Promise<void> {
    const { group } = Cluster;
    await this.call('group.create', group);
    for (const server of this.servers) await this.call('group.add', group, server.address);
    await this.call('group.promote', group, this.servers[0]?.address);
    await this.call('group.activate', group);
  }

  call(command: string, ...args: unknown[]): Promise<CallResult> {
    return this.fabric.call(command, ...args);
  }

  /** For `connect` and `createPool`. */
  get clientOptions(): FabricPoolOptions {
    return {
      fabric: { ...this.fabric.address.xmlrpc, ...Cluster.fabricAccount },
      ...accounts.app,
      database: APP_DATABASE,
      group: Cluster.group,
    };
  }

  /** Status by address, as `group.lookup_servers` tells. */
  async statuses(): Promise<Record<string, string>> {
    const { rows } = await this.call('group.lookup_servers', Cluster.group);
    return Object.fromEntries(rows.map(row => [String(row.address), String(row.status)]));
  }

  async primary(): Promise<TestServer> {
    const statuses = await this.statuses();
    const found = this.servers.find(server => statuses[server.address] === 'PRIMARY');
    if (found === undefined) throw new Error(`no primary: ${JSON.stringify(statuses)}`);
    return found;
  }

  async secondaries(): Promise<TestServer[]> {
    const statuses = await this.statuses();
    return this.servers.filter(server => statuses[server.address] === 'SECONDARY');
  }

  async stop(): Promise<void> {
    await this.fabric.stop();
    await Promise.all(this.servers.map(server => server.remove()));
  }
}

/** Asks until it says yes. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeout = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${timeout} ms in vain for: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
