import type { RowDataPacket } from 'mysql2/promise';
import { expect } from 'vitest';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import type { ManagedServer } from '../../src/fabric/replication/replication.js';
import { type CallResult, CommandError, createFabric, type Fabric, type FabricNodeOptions } from '../../src/fabric.js';
import { accounts, type Mysqld } from '../../src/testing.js';

/** A node in memory before real, blank servers, driven by its commands alone: what an operator can do and see. */
export class AcceptanceNode {
  private constructor(
    readonly servers: readonly Mysqld[],
    readonly fabric: Fabric,
    readonly uuids: ReadonlyMap<Mysqld, string>,
    readonly sentences: readonly string[],
  ) {}

  static async start(servers: readonly Mysqld[], settings: Partial<FabricNodeOptions> = {}): Promise<AcceptanceNode> {
    const sentences: string[] = [];
    const say = (sentence: string) => sentences.push(sentence);
    const uuids = new Map(await Promise.all(servers.map(async server => [server, await blank(server)] as const)));
    const fabric = createFabric({
      servers: accounts.fabric,
      protocol: { xmlrpc: { address: '127.0.0.1:0', user: 'admin', password: 'adminpw' } },
      log: { debug() {}, info: say, warn: say, error: say },
      ...settings,
    });
    await fabric.start();
    return new AcceptanceNode(servers, fabric, uuids, sentences);
  }

  call(name: string, ...args: unknown[]): Promise<CallResult> {
    return this.fabric.call(name, ...args);
  }

  /** The sentence of a command that must be refused. */
  async refusal(name: string, ...args: unknown[]): Promise<string> {
    const error: unknown = await this.call(name, ...args).then(
      () => undefined,
      reason => reason,
    );
    expect(error, this.sentences.join('\n')).toBeInstanceOf(CommandError);
    return (error as CommandError).message;
  }

  /** A group of these servers; the first one is its primary. */
  async form(group: string, ...servers: readonly Mysqld[]): Promise<void> {
    await this.gather(group, ...servers);
    await this.call('group.promote', group, servers[0]?.address);
  }

  /** A group of these servers without a primary. */
  async gather(group: string, ...servers: readonly Mysqld[]): Promise<void> {
    await this.call('group.create', group);
    for (const server of servers) await this.call('group.add', group, server.address);
  }

  uuid(server: Mysqld): string {
    return this.uuids.get(server) ?? '';
  }

  /** `STATUS/MODE/weight` of each of `servers`, as `group.lookup_servers` tells; `-` where it knows none. */
  async rows(group: string): Promise<string[]> {
    const { rows } = await this.call('group.lookup_servers', group);
    return this.servers.map(({ address }) => {
      const row = rows.find(each => each.address === address);
      return row ? `${row.status}/${row.mode}/${Number(row.weight)}` : '-';
    });
  }

  async primary(group: string): Promise<Mysqld | undefined> {
    const [row] = (await this.call('group.lookup_groups', group)).rows;
    return this.servers.find(server => this.uuid(server) === row?.master_uuid);
  }

  /** The row of `group.health` for one server. */
  async health(group: string, server: Mysqld) {
    return (await this.call('group.health', group)).rows.find(({ uuid }) => uuid === this.uuid(server));
  }

  async stop(): Promise<void> {
    await this.fabric.stop();
  }
}

/** Alone, writable and without history. @returns its uuid */
async function blank(server: Mysqld): Promise<string> {
  if (server.running) server.resume();
  await server.start();
  await server.reset();
  const [row] = await server.query('SELECT @@server_uuid AS uuid');
  return String(row?.uuid);
}

/** Something done to a server over a session of the node's kind. */
export async function managed<T>(server: Mysqld, work: (session: ManagedServer) => Promise<T>): Promise<T> {
  const { host, port } = server;
  const session = await createReplication(accounts.fabric).connect({ host, port }, 5_000);
  try {
    return await work(session);
  } finally {
    session.close();
  }
}

/** Whom the server follows: `receiver/applier port of the source`; `nobody` when it is not configured as a replica. */
export function following(server: Mysqld): Promise<string> {
  return managed(server, async session => {
    const status = await session.replicaStatus();
    return status ? `${status.ioThread}/${status.sqlThread} ${status.source.port}` : 'nobody';
  });
}

/** Whether it lets an ordinary application write. */
export async function writable(server: Mysqld): Promise<boolean> {
  const [row] = await server.query<RowDataPacket[]>('SELECT @@GLOBAL.read_only AS value');
  return Number(row?.value) === 0;
}

/** Statements on one connection that leave no trace in the binary log, also while the server is read-only. */
export async function quietly(server: Mysqld, ...statements: string[]): Promise<void> {
  const connection = await server.connect();
  try {
    const [[row]] = await connection.query<RowDataPacket[]>("SHOW GLOBAL VARIABLES LIKE 'super_read_only'");
    const locked = row?.Value === 'ON';
    await connection.query('SET sql_log_bin = 0');
    if (locked) await connection.query('SET GLOBAL super_read_only = OFF');
    for (const statement of statements) await connection.query(statement);
    if (locked) await connection.query('SET GLOBAL super_read_only = ON');
  } finally {
    connection.destroy();
  }
}
