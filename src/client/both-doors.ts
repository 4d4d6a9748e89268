/** What both doors have beside what mysql2's have. */

export {
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  type Mode,
  type Server,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
  type Status,
} from '../wire/topology.js';
export type { Balancer, BalancerName, Load } from './balancers.js';
export type { ErrorMessage, RouteMessage } from './channels.js';
export { type BadInput, type ErrorFacts, FabricError, type FabricErrorCode, type Outcome } from './errors.js';
export type {
  FabricEventName,
  FabricEvents,
  Failover,
  PoolEvent,
  PoolSaturated,
  ServerDown,
  ServerUp,
  TopologyChange,
} from './events.js';
export type { Candidate, Explanation, TopologyOrigin } from './explain.js';
export type { FabricNodeOptions, FabricOption } from './fabric-nodes.js';
export type { ClientOptions, FabricConnectionOptions, FabricPoolOptions, TelemetryOptions } from './options.js';
export type { Properties, Target } from './properties.js';
export { run } from './scope.js';
export type { ServerStats } from './server-pools.js';
export type { IsolationLevel, TransactionOptions } from './transaction.js';
export type { Waits } from './waiting-line.js';
