/** `mysql2-fabric`: all that `mysql2` exports, with connections and pools that follow the topology of a Fabric node. */
import mysql from 'mysql2';
import { connect, createConnection, createConnectionPromise, createPool, createPoolPromise } from './client/connect.js';
import { FabricError } from './client/errors.js';
import {
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
} from './wire/topology.js';

export * from 'mysql2';

const ours = {
  connect,
  createConnection,
  createPool,
  createConnectionPromise,
  createPoolPromise,
  FabricError,
  MODE_READONLY,
  MODE_WRITEONLY,
  MODE_READWRITE,
  STATUS_FAULTY,
  STATUS_SPARE,
  STATUS_SECONDARY,
  STATUS_PRIMARY,
} as const;

// Getters of mysql2's module object, which `export *` cannot see.
type Hidden = { TypedParameter: unknown; Charsets: typeof mysql.Charsets; Types: typeof mysql.Types };
export const { TypedParameter, Charsets, CharsetToEncoding, Types } = mysql as unknown as Hidden & {
  CharsetToEncoding: string[];
};

export type { FabricConnection } from './client/connection.js';
export type { BadInput, ErrorFacts, FabricErrorCode, Outcome } from './client/errors.js';
export type { FabricNodeOptions, FabricOption } from './client/fabric-nodes.js';
export type {
  ClientOptions,
  FabricConnectionOptions,
  FabricPoolOptions,
  Properties,
  Target,
} from './client/options.js';
export type { FabricPool, FabricPoolConnection, ServerStats } from './client/pool.js';
export type { Mode, Server, Status } from './wire/topology.js';
export {
  connect,
  createConnection,
  createConnectionPromise,
  createPool,
  createPoolPromise,
  FabricError,
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
};

/** For `import mysql from 'mysql2-fabric'`. */
export default { ...mysql, ...ours } as Omit<typeof mysql, keyof typeof ours> & typeof ours;
