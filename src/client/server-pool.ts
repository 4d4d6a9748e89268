import { setMaxListeners } from 'node:events';
import { createPool, type Pool } from 'generic-pool';
import { MODE_READWRITE, type Server } from '../wire/topology.js';
import { Cooling } from './cooling.js';
import { FabricError } from './errors.js';
import { IdleStack } from './idle-stack.js';
import type { ClientConfig } from './options.js';
import { close, connectTo, cut, givenUp, type Home, type Physical, ping } from './physical.js';
import { connecting, type StatementError, verdict } from './verdict.js';
import { type Waiter, WaitingLine } from './waiting-line.js';

/**
 * The connections to one server. generic-pool owns them: it makes, counts, validates, evicts and drains them. A statement that finds an
 * idle connection does not pass through it, though (that costs up to 30 % of the throughput): connections once lent are kept here and lent
 * again; those that stay unused for long, or that somebody waits for, go back to it.
 */

/** A connect that failed, as a resource: generic-pool starts a rejecting factory again at once, for ever, which freezes the event loop. */
class FailedConnect {
  readonly at = performance.now();
  constructor(readonly error: StatementError) {}
}
type Resource = Physical | FailedConnect;

/** ms for the ping that validates a connection after idleness. */
const PING_TIMEOUT = 1_000;
/** `lentAt` of a connection that is lent but runs nothing now. */
export const RESTING = Number.POSITIVE_INFINITY;

/** ms that a running statement has to finish when its pool is ended. */
const END_GRACE = 10_000;

/** A clock that costs nothing to read. */
export interface Clock {
  readonly tick: number;
  /** ms between two ticks. */
  readonly interval: number;
}

export interface ServerPoolHooks {
  /** A new connection was made. */
  readonly onConnect: (physical: Physical) => void;
  /** The clock that `lentAt`, `idleTick` and `busySince` count in. */
  readonly clock: Clock;
  /** An idle connection was lost: the server, or somebody in between, closed it. */
  readonly onIdleLost: (server: Server) => void;
}

export class ServerPool implements Home {
  readonly server: Server;
  readonly #config: ClientConfig;
  readonly #hooks: ServerPoolHooks;
  readonly #pool: Pool<Resource>;
  readonly #leaving = new AbortController();
  #left = false;
  readonly #busy = new Set<Physical>();
  readonly #idle = new IdleStack();
  /** Ticks after which an idle connection goes back to generic-pool, which validates it, or evicts it. */
  readonly #keptTicks: number;
  readonly #cooling = new Cooling();
  /** Who waits while all connections are lent. (In generic-pool's queue each wait costs a timer, a validation and five promises.) */
  readonly #line: WaitingLine<Physical>;

  constructor(server: Server, config: ClientConfig, hooks: ServerPoolHooks) {
    this.server = server;
    this.#config = config;
    this.#hooks = hooks;
    setMaxListeners(0, this.#leaving.signal); // one for each connect under way
    this.#keptTicks = Math.max(
      1,
      Math.floor(Math.min(config.validateAfter, config.idleTimeout) / hooks.clock.interval),
    );
    this.#line = new WaitingLine(config.acquireTimeout, () => this.#allBusy(undefined));
    this.#pool = createPool<Resource>(
      {
        create: () => this.#create(),
        destroy: async resource => {
          if (!(resource instanceof FailedConnect)) close(resource);
        },
        validate: resource => this.#validate(resource),
      },
      {
        min: config.minConnections,
        max: config.maxConnections,
        acquireTimeoutMillis: config.acquireTimeout,
        idleTimeoutMillis: config.idleTimeout,
        evictionRunIntervalMillis: Math.max(100, Math.min(1_000, config.idleTimeout)),
        numTestsPerEvictionRun: config.maxConnections,
        testOnBorrow: true,
      },
    );
  }

  /** The server did not let us connect a moment ago: better ask another one. */
  get cooling(): boolean {
    return this.#cooling.active;
  }

  /** The server is not in the group any more: this pool lends nothing. (A field of its own: the signal's takes time to ask.) */
  get left(): boolean {
    return this.#left;
  }

  /** Statements that wait for a connection. */
  get waiting(): number {
    return this.#pool.pending + this.#line.length;
  }

  /** Runs something since `tick` or longer? */
  busySince(tick: number): boolean {
    for (const physical of this.#busy) if (physical.lentAt <= tick) return true;
    return false;
  }

  /** An idle connection, at once, or none. */
  tryLend(): Physical | undefined {
    const physical = this.#idle.pop();
    return physical === undefined ? undefined : this.#lent(physical);
  }

  /**
   * Rejects with mysql2's error when the server cannot be connected to; FabricError `FABRIC_TIMEOUT` when no connection came free within
   *   `acquireTimeout`, `FABRIC_QUEUE_LIMIT` when too many wait already.
   */
  lend(): Promise<Physical> {
    const ready = this.tryLend();
    if (ready !== undefined) return Promise.resolve(ready);
    const failure = this.#cooling.error;
    if (failure !== undefined) return Promise.reject(failure);
    if (!this.#allLent) return this.#obtain();
    if (this.#line.length >= this.#config.maxWaiting) return Promise.reject(this.#tooManyWait());
    return new Promise((resolve, reject) => this.#line.join({ resolve, reject, until: 0 }));
  }

  /**
   * As `lend`, for a caller that only has to wait for its turn, and without a promise: at the speed at which turns come, each one counts.
   * @returns false: there is more to do than wait; `lend` does it.
   */
  queue(waiter: Waiter<Physical>): boolean {
    if (!this.#allLent || this.cooling || this.#line.length >= this.#config.maxWaiting) return false;
    this.#line.join(waiter);
    return true;
  }

  giveBack(physical: Physical): void {
    if (!physical.alive || this.left) {
      this.discard(physical);
    } else if (this.#pool.pending > 0) {
      this.#busy.delete(physical);
      this.#release(physical);
    } else {
      const waiter = this.#line.next();
      if (waiter !== undefined) waiter.resolve(this.#lent(physical));
      else this.#keep(physical);
    }
  }

  /** Closes a lent connection for good. */
  discard(physical: Physical): void {
    this.#busy.delete(physical);
    this.#destroy(physical);
  }

  /** Gives generic-pool what was not needed for long. */
  sweep(): void {
    for (const physical of this.#idle.takeOlder(this.#hooks.clock.tick - this.#keptTicks)) this.#release(physical);
  }

  #keep(physical: Physical): void {
    if (this.#idle.length >= this.#config.maxIdle) {
      this.discard(physical);
      return;
    }
    this.#busy.delete(physical);
    this.#idle.push(physical, this.#hooks.clock.tick);
  }

  /** The server left the group (or is FAULTY): idle connections go, and what runs on the others fails now rather than hang. */
  async leave(): Promise<void> {
    this.#left = true;
    this.#leaving.abort();
    this.#line.close(givenUp('the server left the group'));
    for (const physical of this.#idle.takeOlder(Number.POSITIVE_INFINITY)) this.#destroy(physical);
    this.#cutBusy('the server left the group');
    await this.#drain();
  }

  /** Ends all: idle connections now, those that run something when it has ended, or after `END_GRACE` all the same. */
  async end(): Promise<void> {
    this.#left = true;
    this.#leaving.abort();
    this.#line.close(new FabricError('FABRIC_CLOSED', 'The connection or pool was ended'));
    for (const physical of this.#idle.takeOlder(Number.POSITIVE_INFINITY)) this.#destroy(physical);
    for (const physical of this.#busy) if (physical.lentAt === RESTING) this.discard(physical);
    const grace = setTimeout(() => this.#cutBusy('the pool was ended'), END_GRACE);
    await this.#drain();
    clearTimeout(grace);
  }

  get stats(): { size: number; idle: number; busy: number; waiting: number } {
    const busy = this.#busy.size;
    return { size: this.#pool.size, idle: this.#pool.size - busy, busy, waiting: this.waiting };
  }

  #cutBusy(reason: string): void {
    for (const physical of this.#busy) {
      cut(physical, givenUp(reason));
      if (physical.lentAt === RESTING) this.discard(physical); // no statement will fail and do it
    }
  }

  async #drain(): Promise<void> {
    await this.#pool.drain();
    await this.#pool.clear();
  }

  async #create(): Promise<Resource> {
    if (this.left) return new FailedConnect(givenUp('the server left the group'));
    const failure = this.#cooling.error;
    if (failure !== undefined) return new FailedConnect(failure);
    try {
      const physical = await connectTo(this.server, this, this.#config.mysql, this.#leaving.signal, lost =>
        this.#lost(lost),
      );
      this.#cooling.connected();
      this.#hooks.onConnect(physical);
      return physical;
    } catch (error) {
      // Only what says something about the server makes it cool: a wrong password would be as wrong elsewhere.
      if (verdict(error as StatementError, connecting(MODE_READWRITE)).report)
        this.#cooling.failed(error as StatementError);
      return new FailedConnect(error as StatementError);
    }
  }

  async #validate(resource: Resource): Promise<boolean> {
    if (resource instanceof FailedConnect) return true; // somebody must hear of it; refused here, generic-pool would make the next at once
    if (!resource.alive) return false;
    if (performance.now() - resource.idleSince < this.#config.validateAfter) return true;
    return ping(resource, PING_TIMEOUT);
  }

  #lost(physical: Physical): void {
    if (!this.#busy.has(physical) && !this.left) this.#hooks.onIdleLost(this.server);
    // Else it is busy: its statement's error does the rest; or back in generic-pool: validation does.
    if (this.#idle.remove(physical)) this.#destroy(physical);
  }

  /** From generic-pool: one that it kept, validated, or a new one. */
  async #obtain(): Promise<Physical> {
    const began = performance.now();
    let resource = await this.#acquire();
    while (resource instanceof FailedConnect) {
      await this.#pool.destroy(resource);
      if (resource.at >= began) {
        // Nobody would ever give the others a connection, or not soon.
        if (this.cooling || this.#busy.size === 0) this.#line.fail(resource.error);
        throw resource.error;
      }
      resource = await this.#acquire(); // that one failed long ago, when generic-pool wanted to keep its minimum
    }
    return this.#lent(resource);
  }

  async #acquire(): Promise<Resource> {
    try {
      return await this.#pool.acquire();
    } catch (error) {
      throw this.left ? givenUp('the server left the group') : this.#allBusy(error);
    }
  }

  #lent(physical: Physical): Physical {
    physical.lentAt = this.#hooks.clock.tick;
    this.#busy.add(physical);
    return physical;
  }

  /** Nothing that generic-pool could lend, or make, now. */
  get #allLent(): boolean {
    return this.#pool.available < 1 && this.#pool.spareResourceCapacity < 1;
  }

  /** A connection has gone, so there is room for a new one: it is for whoever waits longest. */
  #serveLine(): void {
    while (this.#line.length > 0 && !this.left && !this.#allLent) {
      const waiter = this.#line.next();
      this.#obtain().then(
        physical => waiter?.resolve(physical),
        error => waiter?.reject(error),
      );
    }
  }

  #allBusy(cause: unknown): FabricError {
    const { host, port } = this.server;
    const { acquireTimeout, maxConnections } = this.#config;
    const reason = `No connection to ${host}:${port} came free within ${acquireTimeout} ms (acquireTimeout); all ${maxConnections} are busy`;
    return new FabricError('FABRIC_TIMEOUT', reason, { cause });
  }

  #tooManyWait(): FabricError {
    const { host, port } = this.server;
    const reason = `All connections to ${host}:${port} are busy, and no more callers may wait (queueLimit)`;
    return new FabricError('FABRIC_QUEUE_LIMIT', reason);
  }

  #release(physical: Physical): void {
    const { tick, interval } = this.#hooks.clock;
    const idle = this.#busy.has(physical) ? 0 : (tick - physical.idleTick) * interval;
    physical.idleSince = performance.now() - idle;
    this.#pool.release(physical).then(undefined, () => close(physical));
  }

  #destroy(physical: Physical): void {
    this.#pool.destroy(physical).then(undefined, () => close(physical));
    this.#serveLine();
  }
}
