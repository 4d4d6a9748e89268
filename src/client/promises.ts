import type mysql from 'mysql2';
import mysqlPromise from 'mysql2/promise';
import type { Server } from '../wire/topology.js';
import { passOn, type Tells } from './events.js';
import type { Explanation } from './explain.js';
import type { Properties, Target } from './properties.js';
import type { ServerStats } from './server-pools.js';
import type { RoutedStatement } from './shapes.js';
import type { TransactionOptions } from './transaction.js';
import type { AcquireOptions } from './waiting-line.js';

/** mysql2's own promise wrappers around our connections and pools, with what is ours added. */

/** What a routed connection or pool has besides what mysql2's has. */
interface Routed {
  setProperty(properties: Properties): unknown;
  resetProperties(): unknown;
  readonly properties: Target;
  explain(properties?: Properties): Explanation;
  withTransaction<T>(fn: (connection: Promisable) => Promise<T>, options?: TransactionOptions): Promise<T>;
}

/** The callback connection that a closure is given. */
interface Promisable {
  promise(promiseImpl?: PromiseConstructor): FabricPromiseConnection;
}

/** The wrappers use no more of a connection than this; mysql2's declared fields are getters on ours. */
interface RoutedConnection extends Routed, Pick<mysql.Connection, 'query' | 'execute'> {
  readonly server: Server | undefined;
  readonly fabricUuid: string | undefined;
}

interface RoutedPool extends Routed, Pick<mysql.Pool, 'query' | 'execute'> {
  getConnection(
    options: AcquireOptions,
    // biome-ignore lint/suspicious/noExplicitAny: a connection of ours, which mysql2's wrapper takes
    callback: (error: NodeJS.ErrnoException | null, connection: any) => void,
  ): void;
  with(properties: Properties): { promise(): FabricPromisePool };
  stats(): ServerStats[];
}

/** What `query` and `execute` take besides all that mysql2's take. */
interface RoutedPromises {
  query<T extends mysql.QueryResult>(
    statement: RoutedStatement,
    values?: mysql.QueryValues,
  ): Promise<[T, mysql.FieldPacket[]]>;
  execute<T extends mysql.QueryResult>(
    statement: RoutedStatement,
    values?: mysql.ExecuteValues,
  ): Promise<[T, mysql.FieldPacket[]]>;
}

type Wrapper<Core, T> = new (core: Core, promiseImpl?: PromiseConstructor) => T;

const { PromiseConnection, PromisePoolConnection, PromisePool } = mysqlPromise as unknown as {
  PromiseConnection: Wrapper<
    RoutedConnection,
    Tells & mysqlPromise.Connection & RoutedPromises & { connection: mysql.Connection & RoutedConnection }
  >;
  PromisePoolConnection: Wrapper<RoutedConnection, mysqlPromise.PoolConnection & RoutedPromises>;
  PromisePool: Wrapper<RoutedPool, Tells & mysqlPromise.Pool & RoutedPromises & { pool: mysql.Pool & RoutedPool }>;
};

export class FabricPromiseConnection extends PromiseConnection {
  constructor(core: mysql.Connection & RoutedConnection, promiseImpl?: PromiseConstructor) {
    super(core, promiseImpl);
    passOn(core, this);
  }

  /** The same as the callback connection's. */
  setProperty(properties: Properties): this {
    this.connection.setProperty(properties);
    return this;
  }

  resetProperties(): this {
    this.connection.resetProperties();
    return this;
  }

  get properties(): Target {
    return this.connection.properties;
  }

  /** The same as the callback connection's. */
  explain(properties?: Properties): Explanation {
    return this.connection.explain(properties);
  }

  /** The same as the callback connection's. */
  withTransaction<T>(
    fn: (connection: FabricPromiseConnection) => T | PromiseLike<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    return this.connection.withTransaction(promised(fn), options);
  }

  get server(): Server | undefined {
    return this.connection.server;
  }

  get fabricUuid(): string | undefined {
    return this.connection.fabricUuid;
  }

  // mysql2's wrapper calls these of its own connections, not of the one that it wraps.
  static {
    for (const name of ['close', 'destroy', 'pause', 'resume', 'unprepare'] as const) {
      const value = function (this: FabricPromiseConnection, ...args: unknown[]): unknown {
        return (this.connection as unknown as Record<typeof name, (...args: unknown[]) => unknown>)[name](...args);
      };
      Object.defineProperty(FabricPromiseConnection.prototype, name, { value, writable: true, configurable: true });
    }
  }
}

/** What `getConnection` of a pool with promises gives: mysql2's own, with what a FabricPromiseConnection adds. */
export type FabricPromisePoolConnection = FabricPromiseConnection & mysqlPromise.PoolConnection;

class RoutedPoolConnection extends PromisePoolConnection {}
const { constructor: _constructor, ...added } = Object.getOwnPropertyDescriptors(FabricPromiseConnection.prototype);
Object.defineProperties(RoutedPoolConnection.prototype, added);

/** The promise side of a connection that `getConnection` gave. */
export function promisePoolConnection(
  connection: RoutedConnection,
  promiseImpl: PromiseConstructor | undefined,
): FabricPromisePoolConnection {
  return new RoutedPoolConnection(connection, promiseImpl) as FabricPromisePoolConnection;
}

/** What is no function is passed on, to be refused. */
function promised<T>(
  fn: (connection: FabricPromiseConnection) => T | PromiseLike<T>,
): (connection: Promisable) => Promise<T> {
  return typeof fn === 'function' ? async connection => fn(connection.promise()) : fn;
}

export class FabricPromisePool extends PromisePool {
  constructor(core: mysql.Pool & RoutedPool, promiseImpl?: PromiseConstructor) {
    super(core, promiseImpl);
    passOn(core, this);
  }

  /** The same as the callback pool's. */
  explain(properties?: Properties): Explanation {
    return this.pool.explain(properties);
  }

  /** The same as the callback pool's. */
  withTransaction<T>(
    fn: (connection: FabricPromiseConnection) => T | PromiseLike<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    return this.pool.withTransaction(promised(fn), options);
  }

  /** @param options `signal`: ends the wait for a connection, which then fails with the signal's reason. */
  override getConnection(options: AcquireOptions = {}): Promise<FabricPromisePoolConnection> {
    const Chosen = (this as { Promise?: PromiseConstructor }).Promise ?? Promise;
    return new Chosen((resolve, reject) => {
      this.pool.getConnection(options, (error, connection) => {
        if (error) reject(error);
        else resolve(promisePoolConnection(connection as unknown as RoutedConnection, Chosen));
      });
    });
  }

  /** The same as the callback pool's. */
  setProperty(properties: Properties): this {
    this.pool.setProperty(properties);
    return this;
  }

  resetProperties(): this {
    this.pool.resetProperties();
    return this;
  }

  get properties(): Target {
    return this.pool.properties;
  }

  /** As the callback pool's `with`: the same connections with other properties. */
  with(properties: Properties): FabricPromisePool {
    return this.pool.with(properties).promise();
  }

  /** Per server, as things are now. */
  stats(): ServerStats[] {
    return this.pool.stats();
  }
}
