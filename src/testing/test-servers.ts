/** Servers for a test: started here, or those that FABRIC_TEST_SERVERS names. */
import { accounts } from './accounts.js';
import { startMysqlds } from './mysqld.js';
import { ReachableServer } from './reachable-server.js';

/** What a test may do with a server of either kind; on one that is not `managed`, process control throws. */
export interface TestServer extends ReachableServer {
  /** Whether it is a process of ours. */
  readonly managed: boolean;
  /** As the server says it, for example '9.7.4'. */
  readonly version: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Ends it; one that is not ours is left blank for whoever comes next. */
  remove(): Promise<void>;
}

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
  return await Promise.all(named.slice(0, count).map(async address => await ExternalServer.find(address)));
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
class ExternalServer extends ReachableServer implements TestServer {
  readonly managed = false;
  readonly version: string;

  private constructor(address: { host: string; port: number }, version: string) {
    super(address, accounts.fabric);
    this.version = version;
  }

  static async find(address: { host: string; port: number }): Promise<ExternalServer> {
    const [row] = await new ExternalServer(address, '').query('SELECT VERSION() AS version');
    const server = new ExternalServer(address, String(row?.version).replace(/-.*/, ''));
    await server.reset();
    return server;
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
