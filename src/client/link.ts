import type mysql from 'mysql2';
import type { Server, Topology } from '../wire/topology.js';
import { whileInLine } from './abort.js';
import { FabricError } from './errors.js';
import { LostTransaction } from './lost-transaction.js';
import { connectionLost, cut, givenUp, type Physical } from './physical.js';
import { type Rebuilt, rebuild } from './rebuild.js';
import { candidates, type Route } from './route.js';
import { RESTING } from './server-pool.js';
import type { Session } from './session.js';
import { ranInPart, SessionState, transactionAfter } from './session-state.js';
import { transactionStep } from './sql-words.js';
import type { Hold, Lender, Statement } from './statement.js';
import { Turns } from './turns.js';
import { connecting, type StatementError, verdict } from './verdict.js';

/**
 * What a logical connection has of the real ones: at most one, to a server that is right for its route, with the session that the
 * application made on it, and makes again on each next one. Statements run one at a time in the order in which they were given, as on a
 * mysql2 connection.
 */
export class Link implements Lender {
  readonly #session: Session;
  readonly #onSwitch: () => void;
  readonly #turns = new Turns();
  #lease: Physical | undefined;
  #leaseRoute: Route | undefined;
  /** The topology in which the lease's server was last seen to be right. */
  #checked: Topology | undefined;
  #inTransaction = false;
  readonly #state = new SessionState();
  /** It could not be made again on the last server that was tried. */
  #notMade = false;
  /** Nobody else may have the connection after this one. */
  #unclean = false;
  #destroyed = false;
  #running: Statement | undefined;
  readonly #lost = new LostTransaction();
  /** Transactions that were begun or ended on it. */
  transactions = 0;

  /** @param onSwitch is called when a connection to a (new) server was taken. */
  constructor(session: Session, onSwitch: () => void) {
    this.#session = session;
    this.#onSwitch = onSwitch;
  }

  get physical(): Physical | undefined {
    return this.#lease;
  }

  get server(): Server | undefined {
    return this.#lease?.server;
  }

  /** The next statement would be told that the session is lost; as far as is known without asking. */
  get hasLostSession(): boolean {
    const lease = this.#lease;
    if (this.hasLostTransaction || this.#notMade) return true;
    if (lease === undefined || !(this.#inTransaction || this.#state.hasMore)) return false;
    const topology = this.#leaseRoute && this.#session.topologies.peek(this.#leaseRoute.group);
    return !lease.alive || (topology !== undefined && !this.#stillServes(lease, topology, this.#leaseRoute));
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  get hasLostTransaction(): boolean {
    return this.#lost.server !== undefined;
  }

  get mayRetry(): boolean {
    return !this.#state.hasMore;
  }

  /** Runs the statement when all before it have ended. `elsewhere`: on any connection, when this one is not in a transaction. */
  run(statement: Statement, elsewhere: boolean): void {
    const stillWanted = statement.signal && this.#turns.busy ? whileInLine(statement, statement.signal) : undefined;
    this.#turns.take(() => {
      if (stillWanted?.() === false) return this.#turns.next();
      this.#running = statement;
      statement.onSettled = () => {
        this.#running = undefined;
        this.#turns.next();
      };
      if (this.#destroyed) return statement.fail(destroyed());
      const missed = this.#lost.refusal(statement);
      if (missed !== undefined) return statement.fail(missed);
      if (elsewhere && !this.#inTransaction) return this.#session.run(this.#elsewhere, statement);
      const lost = this.#lossToTell(statement);
      if (lost !== undefined) return statement.fail(lost);
      this.#session.run(this, statement);
    });
  }

  /** The physical connection is closed, at once when nothing runs on it, else when what was given before has ended. */
  retarget(): void {
    this.#turns.take(() => {
      this.#drop();
      this.#lost.forget();
      this.#turns.next();
    });
  }

  /** As `retarget`, but the connection is given back to be used by others, unless a transaction is open on it. `then` runs after. */
  finish(reuse: boolean, then: () => void): void {
    this.#turns.take(() => {
      const lease = this.#lease;
      if (lease !== undefined && reuse && !this.#inTransaction && !this.#unclean) {
        this.#forget();
        lease.home.giveBack(lease);
      } else {
        this.#drop();
      }
      this.#lost.forget();
      this.#state.clear();
      this.#notMade = false;
      this.#turns.next();
      then();
    });
  }

  /** The application will not end the transaction that was lost, but knows of it. Takes effect behind what was given before. */
  forgetLostTransaction(): void {
    this.#turns.take(() => {
      this.#lost.forget();
      this.#turns.next();
    });
  }

  /** Cuts the connection now; what runs on it fails. */
  destroy(): void {
    this.#destroyed = true;
    const lease = this.#lease;
    this.#forget();
    if (lease === undefined) return;
    cut(lease, givenUp('the application destroyed the connection'));
    lease.home.discard(lease);
  }

  take(route: Route): Physical | undefined {
    const lease = this.#lease;
    if (lease === undefined) {
      const physical = this.#state.isDefault ? this.#session.take(route) : undefined;
      return physical && this.#adopt(physical, route);
    }
    if (!lease.alive) return undefined;
    if (!this.#inTransaction && !this.#stillServes(lease, this.#session.topologies.peek(route.group), route))
      return undefined;
    lease.lentAt = this.#session.pools.tick;
    return lease;
  }

  async obtain(route: Route, hold: Hold): Promise<Physical> {
    const lease = this.#lease;
    if (lease?.alive && isSame(this.#leaseRoute, route)) {
      const topology = await this.#session.topologies.get(route.group);
      if (this.#stillServes(lease, topology, route)) return lease;
    }
    if (lease?.alive && this.#state.hasMore) throw this.#sessionLost(lease.server);
    this.#drop();
    const { physical, inTransaction } = await this.#rebuild(route, hold);
    if (this.#destroyed) {
      physical.home.discard(physical);
      throw destroyed();
    }
    this.#inTransaction = inTransaction;
    return this.#adopt(physical, route);
  }

  async #rebuild(route: Route, hold: Hold): Promise<Rebuilt> {
    this.#notMade = false;
    try {
      return await rebuild(this.#session, this.#state, route, hold);
    } catch (error) {
      this.#notMade = !this.#state.isDefault && !(error instanceof FabricError || hold.signal?.aborted);
      throw error;
    }
  }

  /** Lends to a statement with a route of its own: for that one, with the settings of this session if there are any. */
  get #elsewhere(): Lender {
    if (this.#state.isDefault) return this.#session.shared;
    const discard = (physical: Physical): void => physical.home.discard(physical);
    return {
      take: () => undefined,
      obtain: async (route, hold) => (await rebuild(this.#session, this.#state, route, hold)).physical,
      done: discard,
      lose: discard,
      inTransaction: false,
      mayRetry: true,
    };
  }

  done(physical: Physical, statement: Statement, rows: unknown): void {
    physical.lentAt = RESTING;
    const before = this.#inTransaction;
    this.#inTransaction = transactionAfter(rows) ?? before;
    if (before !== this.#inTransaction || (before && transactionStep(statement.text))) this.transactions += 1;
    this.#state.learn(statement, rows);
    if (!ranInPart(statement, rows)) return;
    this.#state.hasMore = true;
    this.#unclean = true;
  }

  lose(physical: Physical): void {
    const step = transactionStep(this.#running?.text ?? '');
    const transaction = this.#inTransaction && step === undefined;
    if (this.#lease === physical) this.#forget();
    if (transaction || step === 'begin') this.#lost.server = physical.server;
    // It never began, as the application hears now: only what it gave before that was meant for the transaction.
    if (step === 'begin') {
      this.#turns.take(() => {
        this.#lost.forget();
        this.#turns.next();
      });
    }
    physical.home.discard(physical);
  }

  /** It has another user now, and no transaction; nobody else must have it. When it was refused, the server closes the connection. */
  changedUser(options: mysql.ConnectionOptions, refused: boolean): void {
    if (refused && this.#lease !== undefined) cut(this.#lease, givenUp('the server refused the user'));
    if (refused) return;
    this.#inTransaction = false;
    this.#lost.forget();
    this.#state.changedUser(options);
    this.#unclean = true;
  }

  /** The server rolled back what was open, and forgot all but the user and the schema. */
  wasReset(): void {
    this.#inTransaction = false;
    this.#lost.forget();
    this.#state.wasReset();
  }

  #stillServes({ server }: Physical, topology: Topology | undefined, route: Route | undefined): boolean {
    if (topology === undefined || route === undefined || !isSame(this.#leaseRoute, route)) return false;
    if (topology === this.#checked) return true;
    if (!candidates(topology, route.mode).some(({ uuid }) => uuid === server.uuid)) return false;
    this.#checked = topology;
    return true;
  }

  /** The connection was lost between two statements, and with it something that a new one would silently lack. */
  #lossToTell(statement: Statement): StatementError | undefined {
    const lease = this.#lease;
    if (lease === undefined || lease.alive || !(this.#inTransaction || this.#state.hasMore)) return undefined;
    const error = this.#sessionLost(lease.server);
    const at = { ...connecting(statement.route.mode), phase: 'send', inTransaction: true } as const;
    const { outcome } = this.#inTransaction ? verdict(error, at) : NOT_EXECUTED;
    error.fabric = { outcome, group: statement.route.group, mode: statement.route.mode, server: lease.server };
    this.lose(lease);
    return error;
  }

  #sessionLost({ host, port }: Server): StatementError {
    const error = connectionLost(`the session on ${host}:${port} ended, and what was set in it is gone`);
    this.#state.hasMore = false;
    return error;
  }

  #adopt(physical: Physical, route: Route): Physical {
    this.#lease = physical;
    this.#leaseRoute = route;
    this.#unclean = this.#state.hasUser;
    this.#onSwitch();
    return physical;
  }

  #drop(): void {
    const lease = this.#lease;
    this.#forget();
    lease?.home.discard(lease);
  }

  #forget(): void {
    this.#lease = undefined;
    this.#leaseRoute = undefined;
    this.#checked = undefined;
    this.#inTransaction = false;
    this.#state.hasMore = false;
    this.#unclean = false;
  }
}

function isSame(one: Route | undefined, other: Route): boolean {
  return one === other || (one?.group === other.group && one.mode === other.mode);
}

function destroyed(): FabricError {
  return new FabricError('FABRIC_CLOSED', 'The connection was destroyed');
}

const NOT_EXECUTED = { outcome: 'not-executed' } as const;
