import type { Server, Topology } from '../wire/topology.js';
import { reasonOf } from './abort.js';
import type { Chooser } from './chooser.js';
import { FabricError } from './errors.js';
import { annotate, noServer, sessionEnded, unknownGroup } from './failures.js';
import { NextLooks } from './next-look.js';
import type { Physical } from './physical.js';
import type { RequestMode, Route } from './route.js';
import type { ServerPools } from './server-pools.js';
import type { Hold } from './statement.js';
import type { TopologyCache } from './topology-cache.js';
import { connecting, type StatementError, type Verdict, verdict } from './verdict.js';
import type { Waiter } from './waiting-line.js';
import { unlessAborted } from './within.js';

export interface FinderHooks {
  /** Nobody may have a connection any more. */
  readonly ended: () => boolean;
  /** Whether a group, which has no servers now, had some once: it is waited for; others do not exist. */
  readonly seen: (group: string) => boolean;
  /** A server could not be connected to. */
  readonly onUnreachable: (server: Server, error: StatementError) => void;
  /** A caller was refused a connection, or waited for one in vain. */
  readonly onRefused: (server: Server, error: FabricError) => void;
  /** Does what the ruling says besides. */
  readonly follow: (ruling: Verdict, group: string, server: Server, error: StatementError) => void;
}

/** Finds a connection for a route: topology, then the chooser, then that server's pool; another server when it fails, until the deadline. */
export class Finder {
  readonly #topologies: TopologyCache;
  readonly #pools: ServerPools;
  readonly #chooser: Chooser;
  /** ms, for what is said in the end. */
  readonly #failoverTimeout: number;
  readonly #hooks: FinderHooks;
  readonly #looks: NextLooks;
  /** The balancer's choice that had no idle connection: it was its turn, so `obtain`, which follows in the same tick, begins with it. */
  #passedOver: Server | undefined;

  constructor(
    topologies: TopologyCache,
    pools: ServerPools,
    chooser: Chooser,
    failoverTimeout: number,
    hooks: FinderHooks,
  ) {
    this.#topologies = topologies;
    this.#pools = pools;
    this.#chooser = chooser;
    this.#failoverTimeout = failoverTimeout;
    this.#hooks = hooks;
    this.#looks = new NextLooks(group => topologies.forget(group));
  }

  /** The server whose turn it was in a `take` that found no idle connection. */
  get passedOver(): Server | undefined {
    return this.#passedOver;
  }

  /** Lets somebody wait for the connections of the server that was passed over. @returns as `ServerPool.queue`. */
  queue(server: Server, waiter: Waiter<Physical>): boolean {
    const queued = this.#pools.queue(server, waiter);
    if (queued) this.#passedOver = undefined;
    return queued;
  }

  /** A connection that is idle now to a server that is right for the route; undefined when that cannot be had without waiting. */
  take({ group, mode }: Route): Physical | undefined {
    const topology = this.#topologies.peek(group);
    if (topology === undefined) return undefined;
    const server = this.#choose(topology, mode);
    if (server === undefined) return undefined;
    const physical = this.#pools.tryLend(server);
    if (physical === undefined) this.#passedOver = server;
    return physical;
  }

  /**
   * A connection to a server that is right for the route, waiting for a server to be (a failover) until the hold's deadline.
   * @throws the last connect error, the reason of the hold's signal, what the balancer throws, or FabricError: `FABRIC_NO_SERVER`,
   *   `FABRIC_UNREACHABLE`, `FABRIC_TIMEOUT`, `FABRIC_QUEUE_LIMIT`, `FABRIC_CLOSED`.
   */
  obtain(route: Route, hold: Hold): Promise<Physical> {
    const { signal } = hold;
    if (signal === undefined) return this.#obtain(route, hold);
    if (signal.aborted) return Promise.reject(reasonOf(signal));
    return unlessAborted(this.#obtain(route, hold), signal, late => late.home.giveBack(late));
  }

  #obtain(route: Route, hold: Hold): Promise<Physical> {
    const first = this.#passedOver;
    this.#passedOver = undefined;
    if (first === undefined) return this.#search(route, hold);
    // Not awaited: a caller that only waits for its turn goes through here, and each promise counts.
    return this.#pools.lend(first, hold).then(undefined, error => {
      this.lendFailed(error, route, first, hold);
      return this.#search(route, hold);
    });
  }

  /** What is to be done when a server did not lend. @throws the error when another try would not help. */
  lendFailed(error: StatementError, route: Route, server: Server, hold: Hold): Verdict {
    if (hold.signal?.aborted) throw error;
    if (error instanceof FabricError) {
      this.#hooks.onRefused(server, error);
      throw error;
    }
    const ruling = verdict(error, connecting(route.mode));
    annotate(error, ruling, route, server);
    if (ruling.report) this.#hooks.onUnreachable(server, error);
    if (!ruling.retry && !ruling.elsewhere) throw error;
    this.#hooks.follow(ruling, route.group, server, error);
    return ruling;
  }

  /** What an application's own balancer throws is told by `obtain`, which asks it again. */
  #choose(topology: Topology, mode: RequestMode): Server | undefined {
    try {
      return this.#chooser.choose(topology, mode);
    } catch {
      return undefined;
    }
  }

  async #search(route: Route, hold: Hold): Promise<Physical> {
    for (;;) {
      const topology = await this.#topology(route.group);
      if (topology.servers.length === 0 && !this.#hooks.seen(route.group)) throw unknownGroup(route.group);
      const { physical, error } = await this.#lendFrom(topology, route, hold);
      if (physical !== undefined) {
        this.#looks.over(route.group);
        return physical;
      }
      const look = this.#looks.of(route.group);
      if (look.at > hold.deadline) throw error ?? noServer(topology, route, this.#failoverTimeout);
      await look.due;
      if (hold.signal?.aborted) throw reasonOf(hold.signal);
      hold.waitUntil = 0; // it is held for want of a server; waiting for a connection is another wait
    }
  }

  async #topology(group: string): Promise<Topology> {
    this.#refuseWhenEnded();
    try {
      return await this.#topologies.get(group);
    } finally {
      this.#refuseWhenEnded(); // it may have ended meanwhile
    }
  }

  #refuseWhenEnded(): void {
    if (this.#hooks.ended()) throw sessionEnded();
  }

  /** Tries each server that may serve until one lends; an unreachable one, or a full one, cools, so the next choice is another. */
  async #lendFrom(
    topology: Topology,
    route: Route,
    hold: Hold,
  ): Promise<{ physical?: Physical; error?: StatementError }> {
    let error: StatementError | undefined;
    let full: Server | undefined;
    for (
      let server = this.#chooser.choose(topology, route.mode);
      server;
      server = this.#chooser.choose(topology, route.mode)
    ) {
      try {
        return { physical: await this.#pools.lend(server, hold) };
      } catch (caught) {
        error = caught as StatementError;
        if (this.lendFailed(error, route, server, hold).elsewhere) full = server;
        if (!this.#pools.cooling(server)) break;
      }
    }
    if (error === undefined) return {};
    if (full === undefined) return { error };
    const admitted = this.#pools.lendAdmitted(full, hold);
    if (admitted === undefined) throw error;
    return { physical: await admitted };
  }
}
