/** Servers for a test: started here, or those that FABRIC_TEST_SERVERS names. */
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise';
import { accounts } from './accounts.js';
import { type Mysqld, startMysqlds } from './mysqld.js';
import { resetServer } from './reset-server.js';

/** What a test may do with a server of either kind; on one that is not `managed`, process control throws. */
export type TestServer = Pick<
  Mysqld,
  | 'host'
  | 'port'
  | 'address'
  | 'version'
  | 'connect'
  | 'query'
  | 'reset'
  | 'start'
  | 'stop'
  | 'kill'
  | 'restart'
  | 'pause'
  | 'resume'
  | 'remove'
> & {
  /** Whether it is a process of ours. */
  readonly managed: boolean;
};

/**
 * `count` blank servers. With FABRIC_TEST_SERVERS=host:port,host:port,... in the environment, the first of these, reset; they need
 * the account `fabric`, which administers them, and an application account `app` (see `accounts`). Otherwise new processes.
 * Rejects when the environment names fewer servers than `count`.
 */
export async function testServers(
  count: number,
  options: Parameters<typeof startMysqlds>[1] = {},
): Promise<TestServer[]> {
  const named = parseAddresses(process.env.FABRIC_TEST_SERVERS ?? '');
  if (named.length === 0) return await startMysqlds(count, options);
  if (named.length < count)
    throw new Error(`FABRIC_TEST_SERVERS names ${named.length} servers; this test needs ${count}`);
  return await Promise.all(named.slice(0, count).map(async ({ host, port }) => await ExternalServer.find(host, port)));
}

/** 'a:3306, [::1]:3307' -> hosts and ports. Throws a TypeError for anything else. */
export function parseAddresses(text: string): { host: string; port: number }[] {
  const addresses = text.split(',').map(part => part.trim());
  return addresses.filter(Boolean).map(address => {
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || !(port > 0 && port < 65_536)) {
      throw new TypeError(`FABRIC_TEST_SERVERS: '${address}' is not host:port`);
    }
    return { host, port };
  });
}

/** A server that somebody else runs. */
class ExternalServer implements TestServer {
  readonly managed = false;
  readonly host: string;
  readonly port: number;
  readonly version: string;

  private constructor(host: string, port: number, version: string) {
    this.host = host;
    this.port = port;
    this.version = version;
  }

  static async find(host: string, port: number): Promise<ExternalServer> {
    const [row] = await new ExternalServer(host, port, '').query('SELECT VERSION() AS version');
    const server = new ExternalServer(host, port, String(row?.version).replace(/-.*/, ''));
    await server.reset();
    return server;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  async connect(options: ConnectionOptions = {}): Promise<Connection> {
    return await createConnection({ host: this.host, port: this.port, ...accounts.fabric, ...options });
  }

  async query<T = RowDataPacket[]>(sql: string, values: unknown[] = []): Promise<T> {
    const connection = await this.connect();
    try {
      const [result] = await connection.query(sql, values);
      return result as T;
    } finally {
      connection.destroy();
    }
  }

  async reset(): Promise<void> {
    const connection = await this.connect();
    try {
      await resetServer(connection);
    } finally {
      connection.destroy();
    }
  }

  async start(): Promise<void> {
    this.#refuse('start');
  }

  async stop(): Promise<void> {
    this.#refuse('stop');
  }

  async kill(): Promise<void> {
    this.#refuse('kill');
  }

  async restart(): Promise<void> {
    this.#refuse('restart');
  }

  pause(): void {
    this.#refuse('pause');
  }

  resume(): void {
    this.#refuse('resume');
  }

  /** Leaves it blank for whoever comes next. */
  async remove(): Promise<void> {
    await this.reset();
  }

  #refuse(what: string): never {
    throw new Error(
      `Cannot ${what} ${this.address}: FABRIC_TEST_SERVERS names it, so it is not a process of this sandbox`,
    );
  }
}
