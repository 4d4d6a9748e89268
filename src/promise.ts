/** `mysql2-fabric/promise`: all that `mysql2/promise` exports, with connections and pools that follow the topology of a Fabric node. */
import mysql from 'mysql2/promise';
import {
  connectPromise as connect,
  createConnectionPromise as createConnection,
  createPoolPromise as createPool,
} from './client/connect.js';
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

export * from 'mysql2/promise';

const ours = {
  connect,
  createConnection,
  createPool,
  FabricError,
  MODE_READONLY,
  MODE_WRITEONLY,
  MODE_READWRITE,
  STATUS_FAULTY,
  STATUS_SPARE,
  STATUS_SECONDARY,
  STATUS_PRIMARY,
} as const;

export type { ErrorFacts, FabricErrorCode, Outcome } from './client/errors.js';
export type { FabricNodeOptions, FabricOption } from './client/fabric-nodes.js';
export type {
  ClientOptions,
  FabricConnectionOptions,
  FabricPoolOptions,
  Properties,
  Target,
} from './client/options.js';
export type {
  FabricPromiseConnection as FabricConnection,
  FabricPromisePool as FabricPool,
} from './client/promises.js';
export type { Mode, Server, Status } from './wire/topology.js';
export {
  connect,
  createConnection,
  createPool,
  FabricError,
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
};

/** For `import mysql from 'mysql2-fabric/promise'`. */
export default { ...mysql, ...ours } as Omit<typeof mysql, keyof typeof ours> & typeof ours;
