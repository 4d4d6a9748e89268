import { FabricConnection } from './connection.js';
import { type FabricConnectionOptions, type FabricPoolOptions, parseOptions } from './options.js';
import { FabricPool } from './pool.js';
import type { FabricPromiseConnection, FabricPromisePool } from './promises.js';

/** Composition root of the client: what the two doors offer. Options are parsed once, here. */

/**
 * A connection, not connected yet: the first statement (or `connect()`) does that.
 * @param options mysql2's connection options with `fabric`, and `group` and `mode` if you like; or a URI
 *   `mysql+fabric://user:password@node1:32274,node2:32274/database?group=my_group&mode=READONLY`.
 * @throws TypeError, RangeError with `code` FABRIC_BAD_OPTION and the name of the option.
 */
export function connect(options: string | FabricConnectionOptions): FabricConnection {
  return FabricConnection.open(parseOptions(options as FabricPoolOptions));
}

/** As `connect`; like mysql2's it connects at once when the options name a group. */
export function createConnection(options: string | FabricConnectionOptions): FabricConnection {
  const connection = connect(options);
  if (connection.properties.group === null) return connection;
  // Nobody may be listening yet, and an 'error' event without a listener would end the process.
  connection.connect(error => {
    if (error && connection.listenerCount('error') > 0) connection.emit('error', error);
  });
  return connection;
}

/** A pool over all servers of the group; sizes such as `connectionLimit` count per server. */
export function createPool(options: string | FabricPoolOptions): FabricPool {
  return new FabricPool(parseOptions(options));
}

/** `connect`, with promises. */
export function connectPromise(options: string | FabricConnectionOptions): FabricPromiseConnection {
  return connect(options).promise();
}

/** `createConnection`, with promises (those of the option `Promise`): resolves when connected, at once when no group is named yet. */
export function createConnectionPromise(options: string | FabricConnectionOptions): Promise<FabricPromiseConnection> {
  const core = connect(options);
  const connection = core.promise();
  const { Promise: Chosen } = connection as unknown as { Promise: PromiseConstructor };
  return new Chosen((resolve, reject) => {
    if (core.properties.group === null) return resolve(connection);
    core.connect(error => {
      if (error) core.destroy();
      if (error) reject(error);
      else resolve(connection);
    });
  });
}

export function createPoolPromise(options: string | FabricPoolOptions): FabricPromisePool {
  return createPool(options).promise();
}
