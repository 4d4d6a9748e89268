import mysql from 'mysql2';
import { type Balancer, type BalancerName, balancers } from './balancers.js';
import { badInput } from './errors.js';
import {
  type FabricNode,
  type FabricNodeOptions,
  type FabricOption,
  parseFabricUri,
  parseNodes,
} from './fabric-nodes.js';
import { DEFAULT_TARGET, type Properties, parseProperties, type Target } from './properties.js';

/** The options: one table, read once at the door into a frozen object; inside nothing is optional any more. */

export interface ClientOptions extends Properties {
  fabric: FabricOption;
  /** Tell the Fabric node about servers that fail (`threat.report_error`). Default true. */
  reportErrors?: boolean;
  /** Seconds that a topology stays good. Default: what the Fabric node says. */
  ttl?: number;
  /** ms for one call to a Fabric node. Default 2000. */
  fabricTimeout?: number;
  /** ms that a statement which was not executed is held and tried again while the group has no server for it. Default 15000. */
  failoverTimeout?: number;
  /** ms to wait for a connection when all of a server's are busy. Default 10000. */
  acquireTimeout?: number;
  /** Connections kept open to every server that serves. Default 0. (`connectionLimit`, per server too, is the most.) */
  minConnections?: number;
  /** ms that a connection lives at most; each a little less (to 0.8 of it), so that they do not end together. Default 0: for ever. */
  maxLifetime?: number;
  /** ms in which a server that begins to serve comes to its full share of reads. Default 0: at once. */
  slowStart?: number;
  /** ms of idleness after which a connection is pinged before it is used again. Default 5000. */
  validateAfter?: number;
  /** How reads are shared: a name, or a function of the candidates and the load that returns one of them. Default weightedRoundRobin. */
  balancer?: BalancerName | Balancer;
  /** Spans and metrics through the application's `@opentelemetry/api`. Default false. */
  telemetry?: boolean | TelemetryOptions;
}

export interface TelemetryOptions {
  /** Spans have the SQL as it was given: placeholders as such, but also whatever values the application wrote into the text. Default false. */
  queryText?: boolean;
}

export type FabricConnectionOptions = mysql.ConnectionOptions & ClientOptions;
export type FabricPoolOptions = mysql.PoolOptions & ClientOptions;

/** Complete and checked. */
export interface ClientConfig {
  readonly nodes: readonly FabricNode[];
  readonly reportErrors: boolean;
  /** ms; null: as the node says. */
  readonly ttl: number | null;
  readonly fabricTimeout: number;
  readonly failoverTimeout: number;
  readonly acquireTimeout: number;
  readonly minConnections: number;
  readonly maxConnections: number;
  readonly maxIdle: number;
  readonly maxWaiting: number;
  readonly idleTimeout: number;
  readonly validateAfter: number;
  readonly resetOnRelease: boolean;
  readonly maxLifetime: number;
  readonly slowStart: number;
  readonly balancer: BalancerName | Balancer;
  readonly telemetry: Required<TelemetryOptions> | false;
  readonly target: Target;
  /** mysql2's own configuration of a pool. */
  readonly pool: mysql.PoolOptions;
  /** mysql2's own configuration of a connection; host and port are the server's when a connection is made. */
  readonly mysql: mysql.ConnectionConfig;
  readonly Promise: PromiseConstructor | undefined;
}

/** The numbers among the options: name → default, least, most. */
const NUMBERS = {
  fabricTimeout: { default: 2_000, min: 1, max: 600_000 },
  failoverTimeout: { default: 15_000, min: 0, max: 3_600_000 },
  acquireTimeout: { default: 10_000, min: 1, max: 3_600_000 },
  minConnections: { default: 0, min: 0, max: 10_000 },
  validateAfter: { default: 5_000, min: 0, max: 3_600_000 },
  maxLifetime: { default: 0, min: 0, max: 604_800_000 },
  slowStart: { default: 0, min: 0, max: 3_600_000 },
} as const;

/** ms, where mysql2's is 10000: of `acquireTimeout` there must be some left for another server. */
const CONNECT_TIMEOUT = 5_000;

/** Options that are ours; the others are mysql2's. */
const OURS = new Set<string>([
  ...Object.keys(NUMBERS),
  ...['fabric', 'reportErrors', 'ttl', 'balancer', 'telemetry', 'group', 'mode', 'tables', 'key'],
]);

/**
 * @param input what the application gave: an object with `fabric`, or a `mysql+fabric://` URI.
 * @throws TypeError, RangeError with `code` FABRIC_BAD_OPTION and the option's name.
 */
export function parseOptions(input: string | FabricPoolOptions): ClientConfig {
  const given = merge(typeof input === 'string' ? { fabric: input } : input);
  const fabric = settingsOf(given.fabric);
  const pool = readPoolConfig(given);
  return Object.freeze({
    nodes: parseNodes(given.fabric),
    reportErrors: boolean('reportErrors', given.reportErrors ?? fabric.reportErrors, true),
    ttl: ttl(given.ttl ?? fabric.ttl),
    fabricTimeout: number('fabricTimeout', given.fabricTimeout ?? fabric.timeout),
    failoverTimeout: number('failoverTimeout', given.failoverTimeout),
    acquireTimeout: number('acquireTimeout', given.acquireTimeout),
    minConnections: number('minConnections', given.minConnections),
    validateAfter: number('validateAfter', given.validateAfter),
    maxLifetime: number('maxLifetime', given.maxLifetime),
    slowStart: number('slowStart', given.slowStart),
    maxConnections: pool.connectionLimit || 10_000,
    maxIdle: Number.isNaN(Number(given.maxIdle ?? Number.NaN)) ? Number.POSITIVE_INFINITY : Number(given.maxIdle),
    maxWaiting: pool.waitForConnections ? pool.queueLimit || 100_000 : 0,
    idleTimeout: pool.idleTimeout,
    resetOnRelease: pool.resetOnRelease,
    balancer: balancer(given.balancer),
    telemetry: telemetry(given.telemetry),
    target: parseProperties(DEFAULT_TARGET, propertiesOf(given), 'FABRIC_BAD_OPTION'),
    pool: pool as object as mysql.PoolOptions,
    mysql: pool.connectionConfig,
    Promise: given.Promise as PromiseConstructor | undefined,
  });
}

/** A `mysql+fabric://` URI given as `fabric` also carries database, group and mode; options given beside it win. */
function merge(input: FabricPoolOptions): FabricPoolOptions {
  if (input === null || typeof input !== 'object') {
    throw badInput(TypeError, 'FABRIC_BAD_OPTION', 'options', 'expected an object or a mysql+fabric:// URI');
  }
  const uri = input.fabric ?? input.uri;
  if (typeof uri !== 'string') return input;
  const { defaults } = parseFabricUri(uri);
  const given = pick(input, (name, value) => value !== undefined && name !== 'uri');
  return { ...defaults, ...given, fabric: uri };
}

function settingsOf(fabric: FabricOption): Pick<FabricNodeOptions, 'reportErrors' | 'ttl' | 'timeout'> {
  const first = Array.isArray(fabric) ? fabric[0] : fabric;
  return typeof first === 'object' && first !== null ? first : {};
}

function propertiesOf(options: FabricPoolOptions): Properties {
  const { group, mode, tables, key } = options;
  return { group, mode, tables, key } as Properties;
}

function mysqlOptions(options: FabricPoolOptions): mysql.PoolOptions {
  return pick(options, name => !OURS.has(name) && name !== 'host' && name !== 'port');
}

/** Also what is not enumerable: Knex hides the password so. */
function pick(options: object, wanted: (name: string, value: unknown) => boolean): object {
  const names = Object.getOwnPropertyNames(options).map(name => [name, options[name as never]] as const);
  return Object.fromEntries(names.filter(([name, value]) => wanted(name, value)));
}

interface PoolConfig {
  readonly connectionConfig: mysql.ConnectionConfig;
  readonly connectionLimit: number;
  readonly waitForConnections: boolean;
  readonly queueLimit: number;
  readonly idleTimeout: number;
  readonly resetOnRelease: boolean;
}

/** mysql2's own reading of the options, so that names, defaults and warnings stay its own: a pool that never connects, for its config. */
function readPoolConfig(options: FabricPoolOptions): PoolConfig {
  const { maxIdle, ...rest } = mysqlOptions(options); // a pool with maxIdle starts a timer
  refuseOneServer(rest);
  const connectTimeout = Number.isNaN(Number(rest.connectTimeout ?? Number.NaN))
    ? CONNECT_TIMEOUT
    : rest.connectTimeout;
  const config = mysql.createPool({ ...rest, connectTimeout } as mysql.PoolOptions).config as unknown as PoolConfig & {
    maxIdle: number;
  };
  config.maxIdle = Number(maxIdle ?? config.maxIdle);
  delete (config.connectionConfig as { pool?: unknown }).pool;
  return config;
}

/** Each connection is made to the server that its statements are routed to. */
function refuseOneServer({ socketPath, stream }: mysql.ConnectionOptions): void {
  const refuse = (name: string, expected: string): Error => badInput(TypeError, 'FABRIC_BAD_OPTION', name, expected);
  if (socketPath) throw refuse('socketPath', 'expected none: servers are found by host and port');
  if (stream && typeof stream !== 'function')
    throw refuse('stream', 'expected a function that makes one for each connection');
}

function boolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw badInput(TypeError, 'FABRIC_BAD_OPTION', name, 'expected true or false');
}

function number(name: keyof typeof NUMBERS, value: unknown): number {
  const rule = NUMBERS[name];
  if (value === undefined) return rule.default;
  if (typeof value !== 'number') throw badInput(TypeError, 'FABRIC_BAD_OPTION', name, 'expected a number');
  if (value >= rule.min && value <= rule.max) return value;
  throw badInput(RangeError, 'FABRIC_BAD_OPTION', name, `expected ${rule.min} to ${rule.max}`);
}

function ttl(value: unknown): number | null {
  if (value === undefined) return null;
  if (typeof value !== 'number') throw badInput(TypeError, 'FABRIC_BAD_OPTION', 'ttl', 'expected seconds as a number');
  if (value > 0 && value <= 86_400) return value * 1_000;
  throw badInput(RangeError, 'FABRIC_BAD_OPTION', 'ttl', 'expected seconds, more than 0 and at most 86400');
}

function balancer(value: unknown): BalancerName | Balancer {
  if (value === undefined) return 'weightedRoundRobin';
  if (typeof value === 'function') return value as Balancer;
  if (typeof value === 'string' && Object.hasOwn(balancers, value)) return value as BalancerName;
  const known = Object.keys(balancers).join(', ');
  throw badInput(RangeError, 'FABRIC_BAD_OPTION', 'balancer', `expected one of ${known}, or a function`);
}

function telemetry(value: unknown): Required<TelemetryOptions> | false {
  if (value === undefined || value === false) return false;
  if (value === true) return { queryText: false };
  const given: Record<string, unknown> = typeof value === 'object' && value !== null ? { ...value } : { value };
  const { queryText = false, ...unknown } = given;
  if (typeof queryText === 'boolean' && Object.keys(unknown).length === 0) return { queryText };
  throw badInput(TypeError, 'FABRIC_BAD_OPTION', 'telemetry', 'expected true, false or { queryText: true }');
}
