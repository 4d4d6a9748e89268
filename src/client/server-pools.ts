import { type Server, STATUS_FAULTY, type Topology } from '../wire/topology.js';
import type { Conditions } from './chooser.js';
import { sessionEnded } from './failures.js';
import type { ClientConfig } from './options.js';
import type { Physical } from './physical.js';
import { serving } from './route.js';
import { ServerPool, type ServerPoolStats } from './server-pool.js';
import type { Patience, Waiter } from './waiting-line.js';

/** All connections of one client, one pool per server. Lent, never given: whoever borrows gives back or discards. */

/** One server, and its connections as they are now. */
export interface ServerStats extends ServerPoolStats {
  readonly server: Server;
}

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

export class ServerPools implements Conditions {
  readonly #config: ClientConfig;
  readonly #hooks: ServerPoolsHooks;
  readonly #pools = new Map<string, ServerPool>();
  readonly #byServer = new WeakMap<Server, ServerPool>();
  readonly #leaving = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
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

  /** Callers that wait for a connection. */
  get waiting(): number {
    let waiting = 0;
    for (const pool of this.#pools.values()) waiting += pool.waiting;
    return waiting;
  }

  cooling(server: Server): boolean {
    return this.#find(server)?.cooling ?? false;
  }

  inFlight(server: Server): number {
    return this.#find(server)?.inFlight ?? 0;
  }

  latency(server: Server): number {
    return this.#find(server)?.latency.value ?? 0;
  }

  /** A statement took `ms` on the server. */
  took(server: Server, ms: number): void {
    this.#find(server)?.latency.took(ms);
  }

  tryLend(server: Server): Physical | undefined {
    return this.#find(server)?.tryLend();
  }

  lend(server: Server, patience: Patience): Promise<Physical> {
    const pool = this.#find(server) ?? (this.#ended ? undefined : this.#add(server));
    return pool?.lend(patience) ?? Promise.reject(sessionEnded());
  }

  /** See `ServerPool.lendAdmitted`. */
  lendAdmitted(server: Server, patience: Patience): Promise<Physical> | undefined {
    return this.#find(server)?.lendAdmitted(patience);
  }

  /** See `ServerPool.queue`. */
  queue(server: Server, waiter: Waiter<Physical>): boolean {
    return this.#find(server)?.queue(waiter) ?? false;
  }

  /**
   * Keeps the pools of the servers that the group has now, and opens the connections that are to be kept to those that serve: a secondary
   * has them before it becomes the primary.
   */
  reconcile(topology: Topology): void {
    const present = new Map(topology.servers.map(server => [key(server), server]));
    const useful = new Set(serving(topology));
    for (const [name, pool] of this.#pools) {
      if (pool.server.group !== topology.group) continue;
      const now = present.get(name);
      if (now === undefined || now.status === STATUS_FAULTY) this.#drop(name, pool, pool.leave());
      else if (!useful.has(now)) this.#drop(name, pool, pool.retire());
      else pool.adopt(now);
    }
    if (this.#config.minConnections === 0 || this.#ended) return;
    for (const server of useful) if (this.#find(server) === undefined) this.#add(server);
  }

  stats(): ServerStats[] {
    return [...this.#pools.values()].map(pool => ({ server: pool.server, ...pool.stats }));
  }

  /** Idle connections end now, busy ones when they are given back; resolves when all are gone. */
  async end(): Promise<void> {
    this.#ended = true;
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

  #drop(name: string, { server }: ServerPool, end: Promise<void>): void {
    this.#pools.delete(name);
    const dropped = end.finally(() => {
      this.#leaving.delete(dropped);
      this.#hooks.onDrained(server);
    });
    this.#leaving.add(dropped);
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
