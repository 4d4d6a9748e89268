/** The named exports of `mysql2-fabric`: all that `mysql2` exports, with connections and pools that follow the topology of a Fabric node. */
import mysql from 'mysql2';
import type { createPoolCluster } from 'mysql2/promise';
import {
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
} from '../wire/topology.js';
import { connect, createConnection, createConnectionPromise, createPool, createPoolPromise } from './connect.js';
import { FabricError } from './errors.js';

export * from 'mysql2';

// Getters of mysql2's module object, which `export *` cannot see.
type Hidden = Pick<typeof mysql, 'Charsets' | 'Types'> & {
  TypedParameter: unknown;
  CharsetToEncoding: string[];
  createPoolClusterPromise: typeof createPoolCluster;
};
export const { TypedParameter, Charsets, CharsetToEncoding, Types, createPoolClusterPromise } =
  mysql as unknown as Hidden;

export type { Mode, Server, Status } from '../wire/topology.js';
export type { FabricConnection } from './connection.js';
export type { BadInput, ErrorFacts, FabricErrorCode, Outcome } from './errors.js';
export type { FabricNodeOptions, FabricOption } from './fabric-nodes.js';
export type {
  ClientOptions,
  FabricConnectionOptions,
  FabricPoolOptions,
  Properties,
  Target,
} from './options.js';
export type { FabricPool, FabricPoolConnection, ServerStats } from './pool.js';
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
