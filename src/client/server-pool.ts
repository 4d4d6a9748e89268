import { type Server, STATUS_PRIMARY } from '../wire/topology.js';
import type { FabricError } from './errors.js';
import { allBusy, sessionEnded, tooManyWait } from './failures.js';
import { IdleStack } from './idle-stack.js';
import { Latency } from './latency.js';
import type { ClientConfig } from './options.js';
import { cut, givenUp, type Home, type Physical } from './physical.js';
import { type Clock, FailedConnect, Supply } from './supply.js';
import { type Patience, type Waiter, WaitingLine, type Waits } from './waiting-line.js';
import { unlessAborted, within } from './within.js';

/**
 * The connections to one server. A statement that finds an idle connection does not pass through generic-pool (that costs up to 30 % of
 * the throughput): connections once lent are kept here and lent again; those that stay unused for long, or that somebody waits for, go
 * back to the supply.
 */

/** `lentAt` of a connection that is lent but runs nothing now. */
export const RESTING = Number.POSITIVE_INFINITY;

/** ms that a running statement has to finish when its pool is ended, or its server has nothing to serve any more. */
const END_GRACE = 10_000;

/** What is told of one server's connections. */
export interface ServerPoolStats {
  readonly size: number;
  readonly idle: number;
  /** Lent: to a statement, or to whoever called `getConnection`. */
  readonly busy: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
  /** ms; of those that had to wait because all connections were busy. */
  readonly waits: Waits;
  /** Connections that could not be made, or were lost. */
  readonly errors: number;
  /** How often the server was chosen and a connection to it lent. */
  readonly picks: number;
}

export interface ServerPoolHooks {
  /** A new connection was made. */
  readonly onConnect: (physical: Physical) => void;
  /** The clock that `lentAt`, `idleTick`, `lastTick` and `busySince` count in. */
  readonly clock: Clock;
  /** An idle connection was lost: the server, or somebody in between, closed it. */
  readonly onIdleLost: (server: Server) => void;
}

export class ServerPool implements Home {
  readonly latency: Latency;
  readonly #config: ClientConfig;
  readonly #hooks: ServerPoolHooks;
  readonly #supply: Supply;
  #server: Server;
  #left = false;
  #picks = 0;
  readonly #busy = new Set<Physical>();
  readonly #idle = new IdleStack();
  /** Ticks after which an idle connection goes back to the supply, which validates it, or evicts it. */
  readonly #keptTicks: number;
  /** Who waits while all connections are lent. (In generic-pool's queue each wait costs a timer, a validation and five promises.) */
  readonly #line: WaitingLine<Physical>;

  constructor(server: Server, config: ClientConfig, hooks: ServerPoolHooks) {
    this.#server = server;
    this.#config = config;
    this.#hooks = hooks;
    const { clock, onConnect } = hooks;
    const onLost = (physical: Physical): void => this.#lost(physical);
    this.latency = new Latency(clock);
    this.#supply = new Supply(config, this, { clock, onConnect, onLost });
    this.#keptTicks = Math.max(1, Math.floor(Math.min(config.validateAfter, config.idleTimeout) / clock.interval));
    this.#line = new WaitingLine(config.acquireTimeout, () => this.#allBusy());
  }

  /** As the topology has it now. */
  get server(): Server {
    return this.#server;
  }

  /** The server did not let us connect a moment ago: better ask another one. */
  get cooling(): boolean {
    const { cooling } = this.#supply;
    return cooling.active && !(cooling.full && this.#idle.length > 0);
  }

  /** The server is not in the group any more: this pool lends nothing. */
  get left(): boolean {
    return this.#left;
  }

  /** Statements that wait for a connection. */
  get waiting(): number {
    return this.#supply.pending + this.#line.length;
  }

  /** Connections that are lent, and who waits for one. */
  get inFlight(): number {
    return this.#busy.size + this.#line.length;
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
   *   `acquireTimeout`, `FABRIC_QUEUE_LIMIT` when too many wait already; with the signal's reason when that is aborted.
   */
  lend(patience: Patience): Promise<Physical> {
    const ready = this.tryLend();
    if (ready !== undefined) return Promise.resolve(ready);
    const failure = this.#supply.cooling.error;
    if (failure !== undefined) return Promise.reject(failure);
    return this.#supply.exhausted ? this.#wait(patience) : this.#obtain(patience);
  }

  /** The server admits no more connections: waits for one of those that it has admitted. undefined: there is none. */
  lendAdmitted(patience: Patience): Promise<Physical> | undefined {
    return this.#busy.size > 0 ? this.#wait(patience) : undefined;
  }

  /**
   * As `lend`, for a caller that only has to wait for its turn, and without a promise: at the speed at which turns come, each one counts.
   * @returns false: there is more to do than wait; `lend` does it.
   */
  queue(waiter: Waiter<Physical>): boolean {
    if (!this.#supply.exhausted || this.cooling || this.#line.length >= this.#config.maxWaiting) return false;
    this.#line.join(waiter);
    return true;
  }

  giveBack(physical: Physical): void {
    if (!physical.alive || this.#left || physical.lastTick < this.#hooks.clock.tick) {
      this.discard(physical);
    } else if (this.#supply.pending > 0) {
      this.#busy.delete(physical);
      this.#release(physical);
    } else {
      const waiter = this.#line.next();
      if (waiter !== undefined) waiter.resolve(this.#lent(physical));
      else this.#keep(physical);
    }
  }

  isStale(physical: Physical): boolean {
    return this.#hooks.clock.tick - physical.idleTick > this.#keptTicks;
  }

  /** Closes a lent connection for good. */
  discard(physical: Physical): void {
    this.#busy.delete(physical);
    this.#destroy(physical);
  }

  /** Gives the supply what was not needed for long; what is too old goes. Whoever waits has what the supply made meanwhile. */
  sweep(): void {
    this.#serveLine();
    const { tick } = this.#hooks.clock;
    for (const physical of this.#idle.takeExpired(tick)) this.#destroy(physical);
    for (const physical of this.#idle.takeOlder(tick - this.#keptTicks)) this.#release(physical);
  }

  /** What the topology has of it now. One that is the primary no more: idle connections go now, busy ones when they are given back. */
  adopt(server: Server): void {
    const before = this.#server.status;
    this.#server = server;
    if (before !== STATUS_PRIMARY || server.status === STATUS_PRIMARY) return;
    this.#supply.expire();
    this.#closeIdle();
  }

  /** The server left the group (or is FAULTY): idle connections go, and what runs on the others fails now rather than hang. */
  async leave(): Promise<void> {
    this.#close(givenUp('the server left the group'));
    this.#cutBusy('the server left the group');
    await this.#supply.drain();
  }

  /** The server serves nothing any more: idle connections go, those in use when they are given back, or after `END_GRACE` all the same. */
  async retire(): Promise<void> {
    this.#close(givenUp('the server serves nothing any more'));
    await this.#drain('the server serves nothing any more');
  }

  /** Ends all: idle connections now, those that run something when it has ended, or after `END_GRACE` all the same. */
  async end(): Promise<void> {
    this.#close(sessionEnded());
    for (const physical of this.#busy) if (physical.lentAt === RESTING) this.discard(physical);
    await this.#drain('the pool was ended');
  }

  get stats(): ServerPoolStats {
    const busy = this.#busy.size;
    const { size, errors } = this.#supply;
    const { waits } = this.#line;
    return { size, idle: size - busy, busy, waiting: this.waiting, waits, errors, picks: this.#picks };
  }

  #keep(physical: Physical): void {
    if (this.#idle.length >= this.#config.maxIdle) {
      this.discard(physical);
      return;
    }
    this.#busy.delete(physical);
    this.#idle.push(physical, this.#hooks.clock.tick);
  }

  #close(error: Error): void {
    this.#left = true;
    this.#supply.leave();
    this.#line.close(error);
    this.#closeIdle();
  }

  #closeIdle(): void {
    for (const physical of this.#idle.takeOlder(Number.POSITIVE_INFINITY)) this.#destroy(physical);
  }

  async #drain(reason: string): Promise<void> {
    const grace = setTimeout(() => this.#cutBusy(reason), END_GRACE);
    await this.#supply.drain();
    clearTimeout(grace);
  }

  #cutBusy(reason: string): void {
    for (const physical of this.#busy) {
      cut(physical, givenUp(reason));
      if (physical.lentAt === RESTING) this.discard(physical); // no statement will fail and do it
    }
  }

  #lost(physical: Physical): void {
    if (!this.#busy.has(physical) && !this.left) this.#hooks.onIdleLost(this.server);
    // Else it is busy: its statement's error does the rest; or back in the supply, which looks at it.
    if (this.#idle.remove(physical)) this.#destroy(physical);
  }

  #wait(patience: Patience): Promise<Physical> {
    if (this.#line.length >= this.#config.maxWaiting) return Promise.reject(tooManyWait(this.server));
    return this.#line.wait(patience);
  }

  #obtain(patience: Patience): Promise<Physical> {
    if (patience.waitUntil === 0) patience.waitUntil = performance.now() + this.#config.acquireTimeout;
    const late = (physical: Physical): void => {
      this.#busy.add(physical);
      this.giveBack(physical);
    };
    return within(this.#acquire(), patience.waitUntil, () => this.#allBusy(), late).then(physical =>
      this.#lent(physical),
    );
  }

  async #acquire(): Promise<Physical> {
    const resource = await this.#supply.acquire().catch(cause => {
      throw this.#left ? givenUp('the server left the group') : this.#allBusy(cause);
    });
    if (!(resource instanceof FailedConnect)) return resource;
    // Nobody would ever give the others a connection, or not soon.
    if (this.#busy.size === 0 || (this.cooling && !this.#supply.cooling.full)) this.#line.fail(resource.error);
    throw resource.error;
  }

  #allBusy(cause?: unknown): FabricError {
    return allBusy(this.#server, this.#config, this.#busy.size, cause);
  }

  #lent(physical: Physical): Physical {
    physical.lentAt = this.#hooks.clock.tick;
    this.#busy.add(physical);
    this.#picks++;
    return physical;
  }

  /** A connection has gone, so there is room for a new one: it is for whoever waits longest. */
  #serveLine(): void {
    while (this.#line.length > 0 && !this.left && !this.#supply.exhausted) {
      const waiter = this.#line.next();
      if (waiter === undefined) return;
      const { signal } = waiter;
      const obtained = this.#obtain(waiter);
      (signal === undefined ? obtained : unlessAborted(obtained, signal, late => this.giveBack(late))).then(
        physical => waiter.resolve(physical),
        error => waiter.reject(error),
      );
    }
  }

  #release(physical: Physical): void {
    const { tick, interval } = this.#hooks.clock;
    this.#supply.release(physical, this.#busy.has(physical) ? 0 : (tick - physical.idleTick) * interval);
  }

  #destroy(physical: Physical): void {
    this.#supply.destroy(physical);
    this.#serveLine();
  }
}
