import { Socket } from 'node:net';
import type mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import { checkArguments } from './arguments.js';
import { FabricError } from './errors.js';
import type { Explanation } from './explain.js';
import { noGroup, sessionEnded } from './failures.js';
import { Link } from './link.js';
import { defineLiveFields } from './live-fields.js';
import type { ClientConfig } from './options.js';
import type { RawConnection } from './physical.js';
import { FabricPromiseConnection } from './promises.js';
import { DEFAULT_TARGET, type Properties, parseProperties, type Target } from './properties.js';
import { type RawQuery, readRequest, type Verb } from './request.js';
import { NOWHERE, type Route } from './route.js';
import { scoped } from './scope.js';
import { Session } from './session.js';
import { ConnectionShape } from './shapes.js';
import { isOfSession } from './sql-words.js';
import { type CallbackStatement, type Done, type Statement, TaskStatement, textOf } from './statement.js';
import { routeOf, statementTarget } from './target.js';
import { type TransactionOptions, transact, type Unit } from './transaction.js';
import { defineVerbs, returnedBy, statementFor } from './verbs.js';
import type { StatementError } from './verdict.js';

export type ErrorCallback = (error: mysql.QueryError | null) => void;

/**
 * A mysql2 connection whose server the group's topology decides. Nothing is connected before the first statement (or `connect`); when the
 * server leaves its role or is lost, the next statement runs on the right one.
 */
export class FabricConnection extends ConnectionShape {
  override readonly config: mysql.ConnectionOptions;
  protected readonly session: Session;
  protected readonly link: Link;
  #target: Target;
  #route: Route | null;
  #fabricUuid: string | undefined;
  /** Who waits for the connect that is under way. */
  #connecting: ErrorCallback[] | undefined;
  /** The connection whose link it uses, to be a part of it. */
  readonly #whole: FabricConnection | undefined;
  #transactionEnded = false;
  /** What `stream` is while there is no connection to a server. */
  #noStream: Socket | undefined;

  /** @param whole makes it a part of that one: ending this one ends no more than its link. */
  constructor(session: Session, target: Target, whole?: FabricConnection) {
    super();
    this.session = session;
    this.config = session.config.mysql;
    this.#target = target;
    this.#route = routeOf(target);
    this.#whole = whole;
    this.link = whole?.link ?? new Link(session, () => this.emit('connect', this.live?._handshakePacket));
  }

  /** A connection of its own, with its own connections to the Fabric nodes and servers. */
  static open(config: ClientConfig): FabricConnection {
    const connection = new FabricConnection(new Session(config, () => {}), config.target);
    connection.session.events.tellBy(connection);
    return connection;
  }

  /**
   * Changes how statements are routed from now on. The physical connection is closed (an open transaction is rolled back).
   * @throws TypeError, RangeError with `code` FABRIC_BAD_PROPERTY, naming the property; nothing is changed then.
   */
  setProperty(properties: Properties): this {
    this.#retarget(parseProperties(this.#target, properties));
    return this;
  }

  /** Back to no group and MODE_READWRITE. */
  resetProperties(): this {
    this.#retarget(DEFAULT_TARGET);
    return this;
  }

  get properties(): Target {
    return this.#target;
  }

  /** The server that the physical connection goes to; undefined while there is none. */
  get server(): Server | undefined {
    return this.link.server;
  }

  /** Why the next statement goes where it goes, as things are now; with these properties besides. */
  explain(properties: Properties = {}): Explanation {
    const boundTo = this.link.inTransaction ? this.link.server : undefined;
    return this.session.explain(parseProperties(scoped(this.#target), properties), boundTo);
  }

  /** The Fabric node's uuid, once a topology was fetched. */
  get fabricUuid(): string | undefined {
    const group = this.#target.group;
    if (group !== null) this.#fabricUuid = this.session.topologies.peek(group)?.fabricUuid ?? this.#fabricUuid;
    return this.#fabricUuid;
  }

  static {
    defineVerbs(FabricConnection.prototype, (self, verb, sql, values, callback) =>
      self.#statement(verb, sql, values, callback),
    );
    defineLiveFields(FabricConnection.prototype, self => self.live);
  }

  /** One connect for all who ask for it while it is under way; without a callback too. */
  override connect(callback?: ErrorCallback): void {
    const waiting = this.#connecting ?? [];
    if (callback !== undefined) waiting.push(callback);
    if (this.#connecting !== undefined) return;
    this.#connecting = waiting;
    const hear = (error: StatementError | null): void => {
      this.#connecting = undefined;
      for (const waiter of waiting) (waiter as Done)(error, error ? undefined : this);
    };
    this.task('', (_connection, done) => done(null), hear);
  }

  override ping(callback?: ErrorCallback): TaskStatement {
    return this.task('SELECT 1', (connection, done) => connection.ping(error => done(error)), callback);
  }

  override reset(callback?: ErrorCallback): TaskStatement {
    const reset = (connection: mysql.Connection, done: Done): void =>
      connection.reset(error => {
        if (!error) this.link.wasReset();
        done(error);
      });
    return this.task('', reset, callback);
  }

  /** The statement is routed like any other, and prepared again wherever it comes to run. */
  override prepare(sql: string, callback?: Parameters<mysql.Connection['prepare']>[1]): mysql.Prepare {
    const routed = {
      execute: (values?: unknown, done?: unknown) => this.#statement('execute', sql, values, done),
      close: () => this.unprepare(sql),
    };
    const prepare = (connection: mysql.Connection, done: Done): void => {
      connection.prepare(sql, (error, info) => done(error, info && Object.assign(Object.create(info), routed)));
    };
    return this.task('SELECT 1', prepare, callback) as object as mysql.Prepare;
  }

  override unprepare(sql: string): mysql.PrepareStatementInfo {
    return this.live?.unprepare(sql) as mysql.PrepareStatementInfo;
  }

  override changeUser(options: mysql.ConnectionOptions, callback?: ErrorCallback): TaskStatement {
    if (typeof options === 'function') return this.changeUser({}, options);
    const change = (connection: mysql.Connection, done: Done): void =>
      connection.changeUser(options, error => {
        this.link.changedUser(options, Boolean(error));
        done(error);
      });
    return this.task('', change, callback);
  }

  /**
   * BEGIN, what `fn` does with the connection that it is given, COMMIT. Run again when the transaction was certainly undone: by a failover, a
   * deadlock, a lock wait timeout. What `fn` throws rolls back, and is thrown on.
   * @throws FabricError `FABRIC_IN_DOUBT` when COMMIT had no answer (its `cause` says why), `FABRIC_NESTED_TRANSACTION`.
   */
  withTransaction<T>(
    fn: (connection: FabricConnection) => T | PromiseLike<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    const take = async ({ mode }: TransactionOptions): Promise<Unit<FabricConnection>> => {
      const refused = this.refusal();
      if (refused !== undefined) throw refused;
      return FabricConnection.unitOf(this, { mode } as Properties, () => {});
    };
    return transact(this.session, take, fn, options);
  }

  /** For one transaction on the link of `whole`. */
  static unitOf(whole: FabricConnection, properties: Properties, release: () => void): Unit<FabricConnection> {
    const { session, link } = whole;
    const connection = new FabricConnection(session, parseProperties(whole.#target, properties), whole);
    const own = new FabricConnection(session, connection.#target, whole);
    const run = (sql: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        own.query(sql, (error, rows) => (error ? reject(error) : resolve(rows)));
      });
    const connect = (signal: AbortSignal): Promise<unknown> =>
      new Promise((resolve, reject) => {
        own.task(
          '',
          (_connection, done) => done(null),
          (error: unknown) => (error ? reject(error) : resolve(null)),
          signal,
        );
      });
    const close = (): void => {
      connection.#transactionEnded = true;
    };
    return { connection, link, run, connect, close, release };
  }

  override pause(): void {
    this.live?.pause();
  }

  override resume(): void {
    this.live?.resume();
  }

  /** Ends it after what was given before. */
  override end(callback?: unknown): TaskStatement {
    // biome-ignore lint/complexity/noArguments: mysql2's typings have a second argument, its functions only one
    const done = typeof callback === 'function' ? callback : arguments[1];
    const quit = new TaskStatement(NOWHERE, '', () => {}, done);
    this.link.finish(false, () => {
      this.#endSession().then(() => {
        this.emit('end');
        quit.succeed(undefined, undefined);
      });
    });
    return quit;
  }

  /** Ends it now; what is under way fails. */
  override destroy(): void {
    this.link.destroy();
    this.#endSession().then(() => this.emit('end'));
  }

  close(): void {
    this.destroy();
  }

  override [Symbol.dispose](): void {
    if (!this._closing) this.end();
  }

  override promise(promiseImpl?: PromiseConstructor): FabricPromiseConnection {
    return new FabricPromiseConnection(this, promiseImpl ?? this.session.config.Promise);
  }

  /**
   * The socket of the moment; one that never was connected while there is none. Pools of ORMs replace a connection whose socket is destroyed:
   * it is once the connection has ended, and while the next statement would fail because the session is lost.
   */
  get stream(): RawConnection['stream'] {
    if (this._closing || this.link.hasLostSession) return new Socket().destroy();
    if (this.live !== undefined) return this.live.stream;
    this.#noStream ??= new Socket();
    return this.#noStream;
  }

  /** mysql2's connection to the server of the moment, while it is good. */
  protected get live(): RawConnection | undefined {
    const physical = this.link.physical;
    return physical?.alive ? (physical.connection as RawConnection) : undefined;
  }

  /** mysql2's flag; its promise wrapper looks at it. */
  get _closing(): boolean {
    return this.session.ended;
  }

  #statement(verb: Verb, sql: unknown, values: unknown, callback: unknown): RawQuery | CallbackStatement {
    checkArguments(this.config, verb, sql, values);
    const request = readRequest(sql, values, callback);
    const { route, elsewhere } = this.#routeFor(request.sql);
    const statement = statementFor(verb, request, route, this.config);
    this.session.trace(statement);
    this.#run(statement, route, elsewhere);
    return returnedBy(statement);
  }

  protected task(
    sql: string,
    task: (connection: mysql.Connection, done: Done) => void,
    callback: unknown,
    signal?: AbortSignal,
  ): TaskStatement {
    const statement = new TaskStatement(this.#route ?? NOWHERE, sql, task, callback, signal);
    this.#run(statement, this.#route, false);
    return statement;
  }

  /** Why nothing may run on it any more; undefined: it may. */
  protected refusal(): StatementError | undefined {
    if (this.#transactionEnded) return new FabricError('FABRIC_CLOSED', "The connection's transaction has ended");
    if (this.session.ended && !this.link.mayFinish) return sessionEnded();
    return this.#whole?.refusal();
  }

  #endSession(): Promise<void> {
    return this.#whole !== undefined ? Promise.resolve() : this.session.end();
  }

  #run(statement: Statement, route: Route | null, elsewhere: boolean): void {
    const refused = this.refusal() ?? (route === null ? noGroup() : undefined);
    if (route === null || refused !== undefined) process.nextTick(() => statement.fail(refused ?? noGroup()));
    else this.link.run(statement, elsewhere);
  }

  /** A statement's own `{ sql, group, mode }` before the connection's. */
  #routeFor(sql: unknown): { route: Route | null; elsewhere: boolean } {
    const own = statementTarget(this.#target, sql);
    const elsewhere = own !== this.#target && !isOfSession(textOf(sql));
    return { route: elsewhere ? routeOf(own) : this.#route, elsewhere };
  }

  #retarget(target: Target): void {
    this.#target = target;
    this.#route = routeOf(target);
    this.link.retarget();
  }
}
