import { tracingChannel } from 'node:diagnostics_channel';
import type mysql from 'mysql2';
import { signalOf } from './abort.js';
import { FabricConnection } from './connection.js';
import { FabricError } from './errors.js';
import { passOn } from './events.js';
import type { Explanation } from './explain.js';
import { noGroup, sessionEnded } from './failures.js';
import type { ClientConfig } from './options.js';
import { FabricPromisePool, type FabricPromisePoolConnection, promisePoolConnection } from './promises.js';
import { DEFAULT_TARGET, type Properties, parseProperties, type Target } from './properties.js';
import { type RawQuery, readRequest, type Verb } from './request.js';
import { NOWHERE, type Route } from './route.js';
import { scoped } from './scope.js';
import type { ServerStats } from './server-pools.js';
import { Session } from './session.js';
import { asPoolConnection, deprecatedEnd, PoolShape } from './shapes.js';
import { type CallbackStatement, type Statement, TaskStatement } from './statement.js';
import { routeOf, statementTarget } from './target.js';
import { type TransactionOptions, transact, type Unit } from './transaction.js';
import { defineVerbs, returnedBy, statementFor } from './verbs.js';
import type { StatementError } from './verdict.js';
import type { AcquireOptions } from './waiting-line.js';

/**
 * A mysql2 pool over all servers of a group: each statement goes to a server that the topology has for its mode, reads balanced by weight.
 * `connectionLimit` and the other sizes count per server.
 */
export class FabricPool extends PoolShape {
  override readonly config: mysql.PoolOptions;
  readonly #session: Session;
  #target: Target;
  #route: Route | null;
  /** A view's connections are those of the pool that it was made from. */
  readonly #isView: boolean;
  #closed = false;

  /** @param parent makes it a view of that pool, with a target of its own. */
  constructor(
    config: ClientConfig,
    parent?: { readonly pool: FabricPool; readonly session: Session; readonly target: Target },
  ) {
    super();
    this.#session = parent?.session ?? new Session(config, physical => this.emit('connection', physical.connection));
    this.#isView = parent !== undefined;
    if (parent === undefined) this.#session.events.tellBy(this);
    else passOn(parent.pool, this);
    this.config = config.pool;
    this.#target = parent?.target ?? config.target;
    this.#route = routeOf(this.#target);
    if (!this.#isView && this.#target.group !== null) this.#session.warm(this.#target.group);
  }

  /**
   * A pool with these properties besides, on the same connections: `pool.with({ mode: MODE_READONLY })`. To end it ends only what it does
   * itself; it ends with the pool.
   * @throws TypeError, RangeError with `code` FABRIC_BAD_PROPERTY, naming the property.
   */
  with(properties: Properties): FabricPool {
    const session = this.#session;
    return new FabricPool(session.config, { pool: this, session, target: parseProperties(this.#target, properties) });
  }

  /**
   * Changes how statements are routed from now on; connections already handed out keep their own properties.
   * @throws TypeError, RangeError with `code` FABRIC_BAD_PROPERTY, naming the property.
   */
  setProperty(properties: Properties): this {
    this.#target = parseProperties(this.#target, properties);
    this.#route = routeOf(this.#target);
    return this;
  }

  /** Back to no group and MODE_READWRITE. */
  resetProperties(): this {
    this.#target = DEFAULT_TARGET;
    this.#route = null;
    return this;
  }

  get properties(): Target {
    return this.#target;
  }

  /** Why statements go where they go, as things are now; with these properties besides. */
  explain(properties: Properties = {}): Explanation {
    return this.#session.explain(parseProperties(scoped(this.#target), properties));
  }

  /** Per server, as things are now. */
  stats(): ServerStats[] {
    return this.#session.pools.stats();
  }

  static {
    defineVerbs(FabricPool.prototype, (self, verb, sql, values, callback) =>
      self.#statement(verb, sql, values, callback),
    );
  }

  /** A connection of the pool's for as long as the caller likes; all its statements run on one server, and in one session. */
  override getConnection(callback: ConnectionCallback): void;
  /** @param options `signal`: ends the wait for a connection, which then fails with the signal's reason. */
  override getConnection(options: AcquireOptions, callback: ConnectionCallback): void;
  override getConnection(first: ConnectionCallback | AcquireOptions, ...[last]: ConnectionCallback[]): void {
    const callback = typeof first === 'function' ? first : (last as ConnectionCallback);
    const signal = typeof first === 'function' ? undefined : signalOf(first);
    const context: ConnectContext = { database: this.#session.config.mysql.database || '' };
    const target = scoped(this.#target);
    const connect = (done: unknown): void => this.#connect(context, target, signal, done as ConnectionCallback);
    if (connects.hasSubscribers) connects.traceCallback(connect, 0, context, null, callback);
    else connect(callback);
  }

  /** As a connection's `withTransaction`, on a connection of the pool's for each try. */
  withTransaction<T>(
    fn: (connection: FabricConnection) => T | PromiseLike<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    const take = ({ mode, signal }: TransactionOptions): Promise<Unit<FabricConnection>> =>
      new Promise((resolve, reject) => {
        const target = parseProperties(scoped(this.#target), { mode } as Properties);
        this.#connect({}, target, signal, (error, lent) => {
          if (error) reject(error);
          else resolve(FabricConnection.unitOf(lent, {}, () => lent.release()));
        });
      });
    return transact(this.#session, take, fn, options);
  }

  override releaseConnection(connection: { release(): void }): void {
    connection.release();
  }

  /** Ends idle connections now, busy ones when they are given back; statements from now on fail. */
  override end(callback?: (error: NodeJS.ErrnoException | null) => void): void;
  /** As Knex types it, which does not fit mysql2's. */
  override end(callback?: (error?: Error) => void): void;
  override end(callback?: (error: never) => void): void {
    this.#closed = true;
    const ended = this.#isView ? Promise.resolve() : this.#session.end();
    ended.then(() => callback?.(null as never));
  }

  override [Symbol.dispose](): void {
    if (!this.#closed) this.end();
  }

  override promise(promiseImpl?: PromiseConstructor): FabricPromisePool {
    return new FabricPromisePool(this, promiseImpl ?? this.#session.config.Promise);
  }

  /** mysql2's flag; its promise wrapper looks at it. */
  get _closed(): boolean {
    return this.#closed || this.#session.ended;
  }

  #statement(verb: Verb, sql: unknown, values: unknown, callback: unknown): RawQuery | CallbackStatement {
    const request = readRequest(sql, values, callback);
    const target = statementTarget(this.#target, request.sql);
    const route = target === this.#target ? this.#route : routeOf(target);
    const statement = statementFor(verb, request, route, this.#session.config.mysql);
    this.#run(statement, route);
    return returnedBy(statement);
  }

  #connect(
    context: ConnectContext,
    target: Target,
    signal: AbortSignal | undefined,
    callback: ConnectionCallback,
  ): void {
    const released = (connection: FabricPoolConnection): boolean => this.emit('release', connection);
    const connection = new FabricPoolConnection(this.#session, target, released);
    const done = (error: StatementError | null): unknown => {
      if (error) return callback(error, undefined as unknown as FabricPoolConnection);
      Object.assign(context, { serverAddress: connection.server?.host, serverPort: connection.server?.port });
      this.emit('acquire', connection);
      return callback(null, connection);
    };
    if (this.#closed) process.nextTick(() => callback(sessionEnded(), undefined as unknown as FabricPoolConnection));
    else this.#mayWait(() => connection.begin(signal, done));
  }

  #run(statement: Statement, route: Route | null): void {
    this.#session.trace(statement);
    if (route === null || this.#closed)
      process.nextTick(() => statement.fail(this.#closed ? sessionEnded() : noGroup()));
    else if (this.listenerCount('enqueue') === 0) this.#session.run(this.#session.shared, statement);
    else this.#mayWait(() => this.#session.run(this.#session.shared, statement));
  }

  /** Tells of `enqueue` when what is begun has to wait for a connection that others have. */
  #mayWait(begin: () => void): void {
    const told = this.listenerCount('enqueue') > 0;
    const before = told ? this.#waiting : 0;
    begin();
    if (told && this.#waiting > before) this.emit('enqueue');
  }

  get #waiting(): number {
    return this.#session.pools.waiting;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: mysql2 types what the callback returns so
type ConnectionCallback = (error: NodeJS.ErrnoException | null, connection: FabricPoolConnection) => any;

/** mysql2's channel, for pools; the server is known once there is a connection to it. */
const connects = tracingChannel<unknown, ConnectContext>('mysql2:pool:connect');
interface ConnectContext {
  database?: string;
  serverAddress?: string;
  serverPort?: number;
}

/** What `getConnection` gives: a connection that goes back to the pool with `release`. */
export class FabricPoolConnection extends FabricConnection {
  readonly #onRelease: (connection: FabricPoolConnection) => void;
  #released = false;
  #destroyed = false;

  static {
    asPoolConnection(FabricPoolConnection);
  }

  constructor(session: Session, target: Target, onRelease: (connection: FabricPoolConnection) => void) {
    super(session, target);
    this.#onRelease = onRelease;
  }

  /** mysql2 types it so; it is this object. */
  get connection(): this {
    return this;
  }

  /** Takes a connection to a server; `signal` ends the wait for one. */
  begin(signal: AbortSignal | undefined, callback: (error: StatementError | null) => void): void {
    const hear = (error: StatementError | null): void => {
      if (error) this.link.finish(true, () => {}); // aborted, it may have a connection that nobody will release
      callback(error);
    };
    this.task('', (_connection, done) => done(null), hear, signal);
  }

  /** Gives it back. With a transaction still open the connection is closed instead, so that nobody else inherits it. */
  release(): void {
    if (this.#released) return;
    const giveBack = (reuse: boolean): void => this.link.finish(reuse, () => this.#onRelease(this));
    const { session, link } = this;
    const reset = session.config.resetOnRelease && link.physical !== undefined && !session.ended;
    if (reset) super.reset(error => giveBack(!error));
    else giveBack(true);
    this.#released = true;
  }

  /** As mysql2's pool connections do: gives it back with a warning that this will change; with `gracefulEnd` it ends it. */
  override end(callback?: unknown): TaskStatement {
    if (!this.session.config.mysql.gracefulEnd) return deprecatedEnd.call(this, callback as () => void) as never;
    const quit = new TaskStatement(NOWHERE, '', () => {}, callback);
    this.#released = true;
    this.link.finish(false, () => {
      this.emit('end');
      quit.succeed(undefined, undefined);
    });
    return quit;
  }

  override destroy(): void {
    this.#released = true;
    this.#destroyed = true;
    this.link.destroy();
    process.nextTick(() => this.emit('end'));
  }

  override get _closing(): boolean {
    return this.#destroyed || this.session.ended;
  }

  override [Symbol.dispose](): void {
    this.release();
  }

  override promise(promiseImpl?: PromiseConstructor): FabricPromisePoolConnection {
    return promisePoolConnection(this, promiseImpl ?? this.session.config.Promise);
  }

  protected override refusal(): StatementError | undefined {
    return this.#released
      ? new FabricError('FABRIC_CLOSED', 'The connection was released to the pool')
      : super.refusal();
  }
}
