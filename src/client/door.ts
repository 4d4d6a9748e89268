/** The named exports of `mysql2-fabric`: all that `mysql2` exports, with connections and pools that follow the topology of a Fabric node. */
import mysql, { type TypedParameter as TypedParameters } from 'mysql2';
import type { createPoolCluster } from 'mysql2/promise';

export * from 'mysql2';
export * from './both-doors.js';

// Getters of mysql2's module object, which `export *` cannot see.
type Hidden = Pick<typeof mysql, 'Charsets' | 'Types'> & {
  TypedParameter: TypedParameters;
  CharsetToEncoding: string[];
  createPoolClusterPromise: typeof createPoolCluster;
};
export const { TypedParameter, Charsets, CharsetToEncoding, Types, createPoolClusterPromise } =
  mysql as unknown as Hidden;

export { connect, createConnection, createConnectionPromise, createPool, createPoolPromise } from './connect.js';
export type { FabricConnection } from './connection.js';
export type { FabricPool, FabricPoolConnection } from './pool.js';
