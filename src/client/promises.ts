import type mysql from 'mysql2';
import mysqlPromise from 'mysql2/promise';
import type { Server } from '../wire/topology.js';
import type { Properties, Target } from './options.js';

/** mysql2's own promise wrappers around our connections and pools, with what is ours added. */

/** What a routed connection or pool has besides what mysql2's has. */
interface Routed {
  setProperty(properties: Properties): unknown;
  resetProperties(): unknown;
  readonly properties: Target;
}

/** The wrappers use no more of a connection than this; mysql2's declared fields are getters on ours. */
interface RoutedConnection extends Routed, Pick<mysql.Connection, 'query' | 'execute'> {
  readonly server: Server | undefined;
  readonly fabricUuid: string | undefined;
}

interface RoutedPool extends Routed, Pick<mysql.Pool, 'query' | 'execute'> {}

type Wrapper<Core, T> = new (core: Core, promiseImpl?: PromiseConstructor) => T;

const { PromiseConnection, PromisePool } = mysqlPromise as unknown as {
  PromiseConnection: Wrapper<
    RoutedConnection,
    mysqlPromise.Connection & { connection: mysql.Connection & RoutedConnection }
  >;
  PromisePool: Wrapper<RoutedPool, mysqlPromise.Pool & { pool: mysql.Pool & RoutedPool }>;
};

export class FabricPromiseConnection extends PromiseConnection {
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

  get server(): Server | undefined {
    return this.connection.server;
  }

  get fabricUuid(): string | undefined {
    return this.connection.fabricUuid;
  }
}

/** What a connection of a pool's `promise()` gives. */
export type FabricPromisePoolConnection = FabricPromiseConnection & mysqlPromise.PoolConnection;

export class FabricPromisePool extends PromisePool {
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
}
