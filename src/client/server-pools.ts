import type { Server, Topology } from '../wire/topology.js';
import type { ClientConfig } from './options.js';
import type { Physical } from './physical.js';
import { ServerPool } from './server-pool.js';
import type { Waiter } from './waiting-line.js';

/** All connections of one client, one pool per server. Lent, never given: whoever borrows gives back or discards. */

export interface ServerPoolsHooks {
  readonly onConnect: (physical: Physical) => void;
  readonly onIdleLost: (server: Server) => void;
  /** Something has run, or waited for a connection, for longer than a statement should while the topology may have changed. */
  readonly onOverdue: (server: Server) => void;
  /** Looks at how many callers wait for a connection to the server. */
  readonly onLook: (server: Server, waiting: number) => void;
  /** All connections to a server that left have ended. */
  readonly onDrained: (server: Server) => void;
}

/** ms between two looks at what is unneeded and what is overdue. */
const SWEEP_INTERVAL = 1_000;

export class ServerPools {
  readonly #config: ClientConfig;
  readonly #hooks: ServerPoolsHooks;
  readonly #pools = new Map<string, ServerPool>();
  readonly #byServer = new WeakMap<Server, ServerPool>();
  readonly #leaving = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  /** Counts the sweeps. */
  readonly #clock = { tick: 0, interval: SWEEP_INTERVAL };

  constructor(config: ClientConfig, hooks: ServerPoolsHooks) {
    this.#config = config;
    this.#hooks = hooks;
  }

  /** The sweep's count; `lentAt` of a connection that starts to run something now. */
  get tick(): number {
    return this.#clock.tick;
  }

  cooling(server: Server): boolean {
    return this.#find(server)?.cooling ?? false;
  }

  tryLend(server: Server): Physical | undefined {
    return this.#find(server)?.tryLend();
  }

  lend(server: Server): Promise<Physical> {
    return (this.#find(server) ?? this.#add(server)).lend();
  }

  /** See `ServerPool.queue`. */
  queue(server: Server, waiter: Waiter<Physical>): boolean {
    return this.#find(server)?.queue(waiter) ?? false;
  }

  /** Keeps the pools of the servers that the group has now; the others' connections end at once. */
  reconcile(topology: Topology): void {
    const present = new Set(topology.servers.map(key));
    for (const [name, pool] of this.#pools) {
      if (pool.server.group === topology.group && !present.has(name)) this.#leave(name, pool);
    }
  }

  stats(): { server: Server; size: number; idle: number; busy: number; waiting: number }[] {
    return [...this.#pools.values()].map(pool => ({ server: pool.server, ...pool.stats }));
  }

  /** Idle connections end now, busy ones when they are given back; resolves when all are gone. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const ending = [...this.#pools.values()].map(pool => pool.end());
    await Promise.all([...ending, ...this.#leaving]);
    this.#pools.clear();
  }

  /** A server object is the same for as long as the topology is, so the usual look-up builds no key. */
  #find(server: Server): ServerPool | undefined {
    const usual = this.#byServer.get(server);
    if (usual !== undefined && !usual.left) return usual;
    const pool = this.#pools.get(key(server));
    if (pool !== undefined) this.#byServer.set(server, pool);
    return pool;
  }

  #add(server: Server): ServerPool {
    const pool = new ServerPool(server, this.#config, { ...this.#hooks, clock: this.#clock });
    this.#pools.set(key(server), pool);
    this.#byServer.set(server, pool);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL).unref();
    return pool;
  }

  #leave(name: string, pool: ServerPool): void {
    this.#pools.delete(name);
    const left = pool.leave().finally(() => {
      this.#leaving.delete(left);
      this.#hooks.onDrained(pool.server);
    });
    this.#leaving.add(left);
  }

  #sweep(): void {
    const tick = ++this.#clock.tick;
    for (const pool of this.#pools.values()) {
      pool.sweep();
      this.#hooks.onLook(pool.server, pool.waiting);
      if (pool.waiting > 0 || pool.busySince(tick - 2)) this.#hooks.onOverdue(pool.server);
    }
  }
}

/** A server that came back at another address has other connections. */
function key(server: Server): string {
  return `${server.uuid} ${server.host}:${server.port}`;
}
