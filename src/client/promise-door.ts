/** The named exports of `mysql2-fabric/promise`: all that `mysql2/promise` exports, with connections and pools that follow the topology of a Fabric node. */
import type core from 'mysql2';
import mysql from 'mysql2/promise';
import {
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
} from '../wire/topology.js';
import {
  connectPromise as connect,
  createConnectionPromise as createConnection,
  createPoolPromise as createPool,
} from './connect.js';
import { FabricError } from './errors.js';

export * from 'mysql2/promise';

// Getters of mysql2's module object, which `export *` cannot see.
type Hidden = Pick<typeof core, 'Charsets' | 'Types'> & { TypedParameter: unknown; CharsetToEncoding: string[] };
export const { TypedParameter, Charsets, CharsetToEncoding, Types } = mysql as unknown as Hidden;

export type { Mode, Server, Status } from '../wire/topology.js';
export type { ErrorFacts, FabricErrorCode, Outcome } from './errors.js';
export type { FabricNodeOptions, FabricOption } from './fabric-nodes.js';
export type {
  ClientOptions,
  FabricConnectionOptions,
  FabricPoolOptions,
  Properties,
  Target,
} from './options.js';
export type {
  FabricPromiseConnection as FabricConnection,
  FabricPromisePool as FabricPool,
} from './promises.js';
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
