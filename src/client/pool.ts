import type mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import { FabricConnection, routeOf, statementTarget } from './connection.js';
import { FabricError } from './errors.js';
import { noGroup } from './link.js';
import { type ClientConfig, DEFAULT_TARGET, type Properties, parseProperties, type Target } from './options.js';
import { FabricPromisePool, type FabricPromisePoolConnection, promisePoolConnection } from './promises.js';
import type { Route } from './route.js';
import { Session } from './session.js';
import { PoolShape } from './shapes.js';
import {
  CallbackStatement,
  EventStatement,
  facadeFor,
  type RawQuery,
  readRequest,
  type Statement,
  type Verb,
} from './statement.js';
import type { StatementError } from './verdict.js';

/** How many connections a server has from this pool, and what they do. */
export interface ServerStats {
  readonly server: Server;
  readonly size: number;
  readonly idle: number;
  readonly busy: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
}

/**
 * A mysql2 pool over all servers of a group: each statement goes to a server that the topology has for its mode, reads balanced by weight.
 * `connectionLimit` and the other sizes count per server.
 */
export class FabricPool extends PoolShape {
  override readonly config: mysql.PoolOptions;
  readonly #session: Session;
  #target: Target;
  #route: Route | null;
  #closed = false;

  constructor(config: ClientConfig) {
    super();
    this.#session = new Session(config, physical => this.emit('connection', physical.connection));
    this.config = Object.assign(Object.create(null), {
      connectionConfig: config.mysql,
      connectionLimit: config.maxConnections,
    });
    this.#target = config.target;
    this.#route = routeOf(config.target);
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

  /** Per server, as things are now. */
  stats(): ServerStats[] {
    return this.#session.pools.stats();
  }

  /** `query` and `execute`: put here so that they keep mysql2's many typings. */
  static {
    for (const verb of ['query', 'execute'] as const) {
      const method = function (this: FabricPool, sql: unknown, values?: unknown, callback?: unknown): unknown {
        return this.#statement(verb, sql, values, callback);
      };
      Object.defineProperty(FabricPool.prototype, verb, { value: method, writable: true, configurable: true });
    }
  }

  /** A connection of the pool's for as long as the caller likes; all its statements run on one server, and in one session. */
  override getConnection(
    // biome-ignore lint/suspicious/noExplicitAny: mysql2 types what the callback returns so
    callback: (error: NodeJS.ErrnoException | null, connection: FabricPoolConnection) => any,
  ): void {
    const connection = new FabricPoolConnection(this.#session, this.#target, released =>
      this.emit('release', released),
    );
    connection.connect(error => {
      if (!error) this.emit('acquire', connection);
      callback(error, error ? (undefined as unknown as FabricPoolConnection) : connection);
    });
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
    this.#session.end().then(() => callback?.(null as never));
  }

  override [Symbol.dispose](): void {
    if (!this.#closed) this.end();
  }

  override promise(promiseImpl?: PromiseConstructor): FabricPromisePool {
    return new FabricPromisePool(this, promiseImpl ?? this.#session.config.Promise);
  }

  /** mysql2's flag; its promise wrapper looks at it. */
  get _closed(): boolean {
    return this.#closed;
  }

  #statement(verb: Verb, sql: unknown, values: unknown, callback: unknown): RawQuery | undefined {
    const request = readRequest(sql, values, callback);
    const target = statementTarget(this.#target, request.sql);
    const route = target === this.#target ? this.#route : routeOf(target);
    if (request.callback !== undefined) {
      this.#run(new CallbackStatement(route ?? NOWHERE, verb, request.sql, request.values, request.callback), route);
      return undefined;
    }
    const facade = facadeFor(request, this.#session.config.mysql);
    this.#run(new EventStatement(route ?? NOWHERE, verb, request.sql, request.values, facade), route);
    return facade;
  }

  #run(statement: Statement, route: Route | null): void {
    if (route === null) process.nextTick(() => statement.fail(noGroup()));
    else this.#session.run(this.#session.shared, statement);
  }
}

const NOWHERE: Route = Object.freeze({ group: '', mode: 3 });

/** What `getConnection` gives: a connection that goes back to the pool with `release`. */
export class FabricPoolConnection extends FabricConnection {
  readonly #onRelease: (connection: FabricPoolConnection) => void;
  #released = false;

  constructor(session: Session, target: Target, onRelease: (connection: FabricPoolConnection) => void) {
    super(session, target);
    this.#onRelease = onRelease;
  }

  /** mysql2 types it so; it is this object. */
  get connection(): this {
    return this;
  }

  /** Gives it back. With a transaction still open the connection is closed instead, so that nobody else inherits it. */
  release(): void {
    if (this.#released) return;
    const giveBack = (): void => this.link.finish(true, () => this.#onRelease(this));
    const reset = this.session.config.resetOnRelease && this.link.physical !== undefined;
    if (reset) super.reset(error => (error ? this.link.destroy() : giveBack()));
    else giveBack();
    this.#released = true;
  }

  /** As mysql2's pool connections do: gives it back. */
  override end(callback?: unknown): void {
    this.release();
    if (typeof callback === 'function') callback(null);
  }

  override destroy(): void {
    this.#released = true;
    this.link.destroy();
  }

  override [Symbol.dispose](): void {
    this.release();
  }

  override promise(promiseImpl?: PromiseConstructor): FabricPromisePoolConnection {
    return promisePoolConnection(this, promiseImpl ?? this.session.config.Promise);
  }

  protected override refusal(): StatementError | undefined {
    return this.#released ? new FabricError('FABRIC_CLOSED', 'The connection was released to the pool') : undefined;
  }
}
