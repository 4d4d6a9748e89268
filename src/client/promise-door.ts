/** The named exports of `mysql2-fabric/promise`: all that `mysql2/promise` exports, with connections and pools that follow the topology of a Fabric node. */
import type core from 'mysql2';
import mysql from 'mysql2/promise';

export * from 'mysql2/promise';
export * from './both-doors.js';

// Getters of mysql2's module object, which `export *` cannot see.
type Hidden = Pick<typeof core, 'Charsets' | 'Types'> & {
  TypedParameter: core.TypedParameter;
  CharsetToEncoding: string[];
};
export const { TypedParameter, Charsets, CharsetToEncoding, Types } = mysql as unknown as Hidden;

export {
  connectPromise as connect,
  createConnectionPromise as createConnection,
  createPoolPromise as createPool,
} from './connect.js';
export type {
  FabricPromiseConnection as FabricConnection,
  FabricPromisePool as FabricPool,
  FabricPromisePoolConnection as FabricPoolConnection,
} from './promises.js';
