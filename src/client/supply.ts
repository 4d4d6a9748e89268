import { setMaxListeners } from 'node:events';
import * as genericPool from 'generic-pool';
import { MODE_READWRITE } from '../wire/topology.js';
import { Cooling } from './cooling.js';
import type { ClientConfig } from './options.js';
import { close, connectTo, givenUp, type Home, type Physical, ping } from './physical.js';
import { connecting, type StatementError, verdict } from './verdict.js';

/** Makes, counts, validates and evicts the connections to one server: generic-pool, with what it lacks, and without its traps. */

/** A connect that failed, as a resource: generic-pool starts a rejecting factory again at once, for ever, which freezes the event loop. */
export class FailedConnect {
  readonly at = performance.now();
  constructor(readonly error: StatementError) {}
}
type Resource = Physical | FailedConnect;

/** generic-pool's own parts, which its typings leave out: what `createPool` is made of. */
interface Evictor {
  evict(config: object, pooled: { readonly obj: Resource }, available: number): boolean;
}
const { DefaultEvictor, Deque, PriorityQueue, Pool } = genericPool as unknown as {
  DefaultEvictor: new () => Evictor;
  Deque: object;
  PriorityQueue: object;
  Pool: new (
    evictor: new () => Evictor,
    deque: object,
    queue: object,
    factory: genericPool.Factory<Resource>,
    options: genericPool.Options,
  ) => genericPool.Pool<Resource>;
};

/** ms for the ping that validates a connection after idleness. */
const PING_TIMEOUT = 1_000;

/** The least part of `maxLifetime` that a connection lives: those that were made together must not all end together. */
const LEAST_LIFE = 0.8;

/** A clock that costs nothing to read. */
export interface Clock {
  readonly tick: number;
  /** ms between two ticks. */
  readonly interval: number;
}

export interface SupplyHooks {
  /** A new connection was made. */
  readonly onConnect: (physical: Physical) => void;
  /** An established connection is gone, for whatever reason but `close` and `cut`. */
  readonly onLost: (physical: Physical) => void;
  readonly clock: Clock;
}

export class Supply {
  readonly cooling = new Cooling();
  readonly #config: ClientConfig;
  readonly #home: Home;
  readonly #hooks: SupplyHooks;
  readonly #pool: genericPool.Pool<Resource>;
  readonly #leaving = new AbortController();
  readonly #all = new Set<Physical>();
  #making = 0;
  #errors = 0;

  /** @param home where its connections go back to; its server is the one to connect to. */
  constructor(config: ClientConfig, home: Home, hooks: SupplyHooks) {
    this.#config = config;
    this.#home = home;
    this.#hooks = hooks;
    setMaxListeners(0, this.#leaving.signal); // one for each connect under way
    this.#pool = this.#createPool();
  }

  /** Connections that there are, lent or not. */
  get size(): number {
    return this.#all.size;
  }

  /** Connections that could not be made, or were lost. */
  get errors(): number {
    return this.#errors;
  }

  /** Callers that wait for `acquire`. */
  get pending(): number {
    return this.#pool.pending;
  }

  /** Nothing that could be lent, or made, now; nor is anything made that nobody waits for, as generic-pool makes its minimum. */
  get exhausted(): boolean {
    const { available, spareResourceCapacity, pending } = this.#pool;
    return available < 1 && spareResourceCapacity < 1 && this.#making <= pending;
  }

  /** One that was kept, validated, or a new one; rejects with generic-pool's error after `acquireTimeout`, and when it has left. */
  async acquire(): Promise<Physical | FailedConnect> {
    const began = performance.now();
    let resource = await this.#pool.acquire();
    while (resource instanceof FailedConnect) {
      await this.#pool.destroy(resource);
      if (resource.at >= began) return resource;
      resource = await this.#pool.acquire(); // that one failed long ago, when generic-pool wanted to keep its minimum
    }
    return resource;
  }

  /** Takes back a connection that has been idle for `idle` ms. */
  release(physical: Physical, idle: number): void {
    physical.idleSince = performance.now() - idle;
    this.#pool.release(physical).then(undefined, () => close(physical));
  }

  destroy(physical: Physical): void {
    this.#pool.destroy(physical).then(undefined, () => close(physical));
  }

  /** None of those that there are is lent again. Those that are not lent go soon. */
  expire(): void {
    for (const physical of this.#all) physical.lastTick = Number.NEGATIVE_INFINITY;
  }

  /** Connects no more, and gives up the connects under way. */
  leave(): void {
    this.#leaving.abort();
  }

  /** Resolves when every connection is back and closed. */
  async drain(): Promise<void> {
    await this.#pool.drain();
    await this.#pool.clear();
  }

  #createPool(): genericPool.Pool<Resource> {
    const useless = (resource: Resource): boolean => !this.#good(resource);
    const { minConnections, maxConnections, acquireTimeout, idleTimeout } = this.#config;
    return new Pool(
      class extends DefaultEvictor {
        override evict(config: object, pooled: { obj: Resource }, available: number): boolean {
          return useless(pooled.obj) || super.evict(config, pooled, available);
        }
      },
      Deque,
      PriorityQueue,
      {
        create: () => {
          this.#making++;
          return this.#create().finally(() => this.#making--);
        },
        destroy: async resource => {
          if (resource instanceof FailedConnect) return;
          this.#all.delete(resource);
          close(resource);
        },
        validate: resource => this.#validate(resource),
      },
      {
        min: Math.min(minConnections, maxConnections),
        max: maxConnections,
        acquireTimeoutMillis: acquireTimeout,
        idleTimeoutMillis: idleTimeout,
        evictionRunIntervalMillis: Math.max(100, Math.min(1_000, idleTimeout)),
        numTestsPerEvictionRun: maxConnections,
        testOnBorrow: true,
      },
    );
  }

  async #create(): Promise<Resource> {
    if (this.#leaving.signal.aborted) return new FailedConnect(givenUp('the server left the group'));
    const failure = this.cooling.error;
    if (failure !== undefined) return new FailedConnect(failure);
    try {
      const physical = await connectTo(this.#home, this.#config.mysql, this.#leaving.signal, lost => {
        this.#errors++;
        this.#hooks.onLost(lost);
      });
      physical.lastTick = this.#lastTick();
      physical.idleSince = performance.now(); // so that it is not validated, which takes a round trip, before its first use
      this.#all.add(physical);
      this.cooling.connected();
      this.#hooks.onConnect(physical);
      return physical;
    } catch (error) {
      this.#errors++;
      // Only what another server may do better makes this one cool: a wrong password would be as wrong elsewhere.
      const { report, elsewhere = false } = verdict(error as StatementError, connecting(MODE_READWRITE));
      if (report || elsewhere) this.cooling.failed(error as StatementError, elsewhere);
      return new FailedConnect(error as StatementError);
    }
  }

  /** The last tick in which it may be lent. */
  #lastTick(): number {
    const { maxLifetime } = this.#config;
    const { tick, interval } = this.#hooks.clock;
    if (maxLifetime === 0) return Number.POSITIVE_INFINITY;
    return tick + (maxLifetime * (LEAST_LIFE + (1 - LEAST_LIFE) * Math.random())) / interval;
  }

  #good(resource: Resource): boolean {
    return !(resource instanceof FailedConnect) && resource.alive && this.#hooks.clock.tick <= resource.lastTick;
  }

  async #validate(resource: Resource): Promise<boolean> {
    if (resource instanceof FailedConnect) return true; // somebody must hear of it; refused here, generic-pool would make the next at once
    if (!this.#good(resource)) return false;
    if (performance.now() - resource.idleSince < this.#config.validateAfter) return true;
    return ping(resource, PING_TIMEOUT);
  }
}
