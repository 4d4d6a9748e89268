/** The node's door: `mysql2-fabric/fabric`. */

export { CommandError, type CommandErrorKind } from './fabric/errors.js';
export type { Log } from './fabric/log.js';
export { type CallResult, createFabric, type Fabric, type FabricAddress } from './fabric/node.js';
export type { EndpointOptions } from './fabric/option-table.js';
export type { FabricNodeOptions, OptionError } from './fabric/options.js';
