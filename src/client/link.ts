import type mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import { reasonOf, whileInLine } from './abort.js';
import { FabricError } from './errors.js';
import { Lease } from './lease.js';
import { LostTransaction } from './lost-transaction.js';
import { connectionLost, cut, givenUp, type Physical } from './physical.js';
import { type Rebuilt, rebuild } from './rebuild.js';
import type { Route } from './route.js';
import { RESTING } from './server-pool.js';
import type { Session } from './session.js';
import { ranInPart, SessionState, transactionAfter } from './session-state.js';
import { transactionStep } from './sql-words.js';
import type { Hold, Lender, Statement } from './statement.js';
import { Turns } from './turns.js';
import { connecting, type StatementError, undoesTransaction, verdict } from './verdict.js';

/**
 * What a logical connection has of the real ones: at most one, to a server that is right for its route, with the session that the
 * application made on it, and makes again on each next one. Statements run one at a time in the order in which they were given, as on a
 * mysql2 connection.
 */
export class Link implements Lender {
  readonly #session: Session;
  readonly #onSwitch: () => void;
  readonly #turns = new Turns(() => this.#idle());
  #lease: Lease | undefined;
  #inTransaction = false;
  readonly #state = new SessionState();
  /** It could not be made again on the last server that was tried. */
  #notMade = false;
  /** Nobody else may have the connection after this one. */
  #unclean = false;
  #destroyed = false;
  #running: Statement | undefined;
  readonly #lost = new LostTransaction();
  /** A closure's transaction runs on it. */
  #claimed = false;
  /** Transactions that were begun or ended on it. */
  transactions = 0;

  /** @param onSwitch is called when a connection to a (new) server was taken. */
  constructor(session: Session, onSwitch: () => void) {
    this.#session = session;
    this.#onSwitch = onSwitch;
  }

  get physical(): Physical | undefined {
    return this.#lease?.physical;
  }

  get server(): Server | undefined {
    return this.physical?.server;
  }

  /** The next statement would be told that the session is lost; as far as is known without asking. */
  get hasLostSession(): boolean {
    const lease = this.#lease;
    if (this.hasLostTransaction || this.#notMade) return true;
    if (lease === undefined || !(this.#inTransaction || this.#state.hasMore)) return false;
    return !lease.physical.alive || lease.isMisplaced;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  get hasLostTransaction(): boolean {
    return this.#lost.server !== undefined;
  }

  /** The application itself ended the closure's transaction: the connection, or its session. */
  get hasAbandonedTransaction(): boolean {
    return this.#lost.abandoned;
  }

  get mayRetry(): boolean {
    return !this.#state.hasMore;
  }

  /** A closure's transaction may go on until it ends by itself. */
  get mayFinish(): boolean {
    return this.#claimed && this.#inTransaction;
  }

  /** A closure's transaction is to run on it. false: another one's does. */
  claim(): boolean {
    if (this.#claimed) return false;
    this.#claimed = true;
    return true;
  }

  /** The closure's transaction has ended. */
  unclaim(): void {
    this.#claimed = false;
    if (this.physical !== undefined && this.#running === undefined) this.physical.lentAt = RESTING;
    if (!this.#turns.busy) this.#idle();
  }

  /** Runs the statement when all before it have ended. `elsewhere`: on any connection, when this one is not in a transaction. */
  run(statement: Statement, elsewhere: boolean): void {
    const { signal } = statement;
    if (signal?.aborted) return void process.nextTick(() => statement.fail(reasonOf(signal)));
    const stillWanted = signal && this.#turns.busy ? whileInLine(statement, signal) : undefined;
    this.#turns.take(() => {
      if (stillWanted?.() === false) return this.#turns.next();
      this.#running = statement;
      statement.onSettled = () => {
        this.#running = undefined;
        this.#turns.next();
      };
      const away = elsewhere && !this.#inTransaction;
      const refusal = this.#refusal(statement, away);
      // Not at once: whoever was served before hears first.
      if (refusal !== undefined) process.nextTick(() => statement.fail(refusal));
      else this.#session.run(away ? this.#elsewhere : this, statement);
    });
  }

  /** The physical connection is closed, at once when nothing runs on it, else when what was given before has ended. */
  retarget(): void {
    this.#turns.take(() => {
      this.#abandon();
      this.#drop();
      this.#state.told();
      this.#turns.next();
    });
  }

  /** As `retarget`, but the connection is given back to be used by others, unless a transaction is open on it. `then` runs after. */
  finish(reuse: boolean, then: () => void): void {
    this.#turns.take(() => {
      const { physical } = this;
      const clean = !this.#inTransaction && !this.#unclean;
      this.#abandon();
      if (physical !== undefined && reuse && clean) {
        this.#forget();
        physical.home.giveBack(physical);
      } else {
        this.#drop();
      }
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
    const { physical } = this;
    this.#forget();
    if (physical === undefined) return;
    cut(physical, givenUp('the application destroyed the connection'));
    physical.home.discard(physical);
  }

  take(route: Route): Physical | undefined {
    const lease = this.#lease;
    if (lease === undefined) {
      const physical = this.#state.isDefault ? this.#session.take(route) : undefined;
      return physical && this.#adopt(physical, route);
    }
    const { physical } = lease;
    if (!physical.alive || !(this.#inTransaction || lease.fits(route, this.#state.hasMore))) return undefined;
    physical.lentAt = this.#session.pools.tick;
    return physical;
  }

  async obtain(route: Route, hold: Hold): Promise<Physical> {
    const physical = await this.#obtain(route, hold);
    physical.lentAt = hold.signal?.aborted ? RESTING : this.#session.pools.tick;
    if (hold.signal?.aborted) throw reasonOf(hold.signal);
    return physical;
  }

  async #obtain(route: Route, hold: Hold): Promise<Physical> {
    const lease = this.#lease;
    if (lease?.physical.alive) {
      const { hasMore } = this.#state;
      if (await lease.stillFits(route, hold, hasMore)) return lease.physical;
      if (hasMore || this.#state.misses(this.#running, undefined)) throw this.#sessionLost(lease.physical.server);
    }
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

  done(physical: Physical, statement: Statement, rows: unknown, error?: StatementError): void {
    this.#lease?.used();
    const before = this.#inTransaction;
    this.#inTransaction = transactionAfter(rows) ?? before;
    if (before && error !== undefined && undoesTransaction(error)) this.#undone(physical.server);
    else if (before !== this.#inTransaction || (before && transactionStep(statement.text))) this.transactions += 1;
    this.#state.learn(statement, rows, physical);
    if (ranInPart(statement, error)) {
      this.#state.hasMore = true;
      this.#unclean = true;
    }
    if (!this.#claimed) physical.lentAt = RESTING;
  }

  /** Of a session that has ended nothing is kept when all that was given before has ended. */
  #idle(): void {
    if (this.#session.ended && !this.#claimed) this.#drop();
  }

  lose(physical: Physical): void {
    const step = transactionStep(this.#running?.text ?? '');
    const transaction = this.#inTransaction && step === undefined;
    if (this.physical === physical) this.#forget();
    if (transaction || step === 'begin') this.#lost.server = physical.server;
    // It never began, as the application hears now: only what it gave before that was meant for the transaction.
    if (step === 'begin') this.forgetLostTransaction();
    physical.home.discard(physical);
  }

  /** The application ends what is open, and not by SQL. */
  #abandon(): void {
    if (this.#claimed && this.#inTransaction) this.#lost.abandon(this.server);
    else if (!this.#claimed) this.#lost.forget();
    if (this.#inTransaction) this.transactions += 1;
    this.#inTransaction = false;
  }

  /** The server undid the transaction. What was given before the application heard of it must not run outside of it; nothing of a closure's. */
  #undone(server: Server): void {
    this.#inTransaction = false;
    this.#lost.server = server;
    if (!this.#claimed) this.forgetLostTransaction();
  }

  /** It has another user now, and no transaction; nobody else must have it. When it was refused, the server closes the connection. */
  changedUser(options: mysql.ConnectionOptions, refused: boolean): void {
    if (refused && this.physical !== undefined) cut(this.physical, givenUp('the server refused the user'));
    if (refused) return;
    this.#abandon();
    this.#state.changedUser(options);
    this.#unclean = true;
  }

  /** The server rolled back what was open, and forgot all but the user and the schema. */
  wasReset(): void {
    this.#abandon();
    this.#state.wasReset();
  }

  /** Why it must not run; undefined: it may. */
  #refusal(statement: Statement, elsewhere: boolean): StatementError | undefined {
    if (this.#destroyed) return destroyed();
    return this.#lost.refusal(statement) ?? (elsewhere ? undefined : this.#lossToTell(statement));
  }

  /** The connection was lost between two statements, and with it something that a new one would silently lack. */
  #lossToTell(statement: Statement): StatementError | undefined {
    const { physical } = this;
    const lost = physical?.alive || !(this.#inTransaction || this.#state.hasMore) ? undefined : physical;
    const server = lost?.server ?? this.#state.misses(statement, physical);
    if (server === undefined) return undefined;
    const error = this.#sessionLost(server);
    const { group, mode } = statement.route;
    const at = { ...connecting(mode), phase: 'send', inTransaction: true } as const;
    const { outcome } = lost !== undefined && this.#inTransaction ? verdict(error, at) : NOT_EXECUTED;
    error.fabric = { outcome, group, mode, server };
    if (lost !== undefined) this.lose(lost);
    return error;
  }

  #sessionLost({ host, port }: Server): StatementError {
    const error = connectionLost(`the session on ${host}:${port} ended, and what was set in it is gone`);
    this.#state.told();
    return error;
  }

  #adopt(physical: Physical, route: Route): Physical {
    this.#lease = new Lease(this.#session, physical, route);
    this.#lease.used();
    this.#unclean = this.#state.hasUser;
    this.#onSwitch();
    return physical;
  }

  #drop(): void {
    const { physical } = this;
    this.#forget();
    physical?.home.discard(physical);
  }

  #forget(): void {
    this.#lease = undefined;
    this.#inTransaction = false;
    this.#state.hasMore = false;
    this.#unclean = false;
  }
}

function destroyed(): FabricError {
  return new FabricError('FABRIC_CLOSED', 'The connection was destroyed');
}

const NOT_EXECUTED = { outcome: 'not-executed' } as const;
