import type { Log } from './log.js';
import {
  type EndpointOptions,
  type FabricOptions,
  type Kind,
  type MysqlOptions,
  OPTION_TABLE,
  type OptionRow,
  type Sections,
  type StorageOptions,
  type XmlRpcOptions,
} from './option-table.js';

/** The node's configuration, from what the user gave. */

/** What `createFabric` takes. What has a default may be left out. */
export interface FabricNodeOptions {
  readonly servers: Partial<FabricOptions['servers']> & { readonly password: string };
  readonly protocol?: {
    readonly xmlrpc?: Partial<XmlRpcOptions>;
    /** Not given: the node does not speak the MySQL protocol. */
    readonly mysql?: Partial<MysqlOptions>;
  };
  readonly failureTracking?: Partial<FabricOptions['failureTracking']>;
  readonly connector?: Partial<FabricOptions['connector']>;
  /** Not given: in memory, so that the node forgets everything when it stops. */
  readonly storage?: Partial<StorageOptions>;
  /** Takes the node's sentences; without it the node is silent. */
  readonly log?: Log;
}

/** A wrong option: a TypeError or RangeError with these two. */
export interface OptionError extends Error {
  readonly code: 'FABRIC_BAD_OPTION';
  /** Full name, as `failureTracking.detections`. */
  readonly option: string;
}

/** @throws TypeError or RangeError ({@link OptionError}) that names the option. */
export function parseFabricOptions(given: FabricNodeOptions): FabricOptions {
  const top = object('options', given, ['servers', 'protocol', 'failureTracking', 'connector', 'storage', 'log'], '');
  const protocol = object('protocol', top.protocol, ['xmlrpc', 'mysql']);
  checkLog(top.log);
  const storage = storageSection(top.storage);
  const hasUsers = storage.type !== 'memory';
  return Object.freeze({
    servers: section('servers', top.servers),
    protocol: Object.freeze({
      xmlrpc: endpointSection('protocol.xmlrpc', protocol.xmlrpc, hasUsers),
      ...(protocol.mysql !== undefined && { mysql: endpointSection('protocol.mysql', protocol.mysql, hasUsers) }),
    }),
    failureTracking: section('failureTracking', top.failureTracking),
    connector: section('connector', top.connector),
    storage,
  });
}

/** Without a password the configuration has no account, which is well where others have. */
function endpointSection<S extends 'protocol.xmlrpc' | 'protocol.mysql'>(
  name: S,
  given: unknown,
  hasUsers: boolean,
): Sections[S] {
  const open = (given as Partial<EndpointOptions> | undefined)?.disableAuthentication === true;
  const options = section(name, given, (open || hasUsers ? { password: '' } : {}) as Partial<Sections[S]>);
  const { sslCa = '', sslCert, sslKey } = options as EndpointOptions & Partial<XmlRpcOptions>;
  if ((sslCa || sslKey) && !sslCert)
    throw optionError('TypeError', `${name}.sslCert`, 'must be given with sslCa or sslKey');
  if (sslCert && !sslKey) throw optionError('TypeError', `${name}.sslKey`, 'must be given with sslCert');
  return options;
}

function storageSection(given: unknown): StorageOptions {
  const onServer = (given as Partial<StorageOptions> | null | undefined)?.type === 'mysql';
  return section('storage', given, onServer ? {} : { password: '' });
}

function section<S extends keyof Sections>(name: S, given: unknown, defaults: Partial<Sections[S]> = {}): Sections[S] {
  const rows = Object.entries(OPTION_TABLE[name]) as [keyof Sections[S] & string, OptionRow<unknown>][];
  const values = object(
    name,
    given,
    rows.map(([key]) => key),
  );
  // What is wrong comes before what is missing, which may follow from it.
  for (const [key, row] of rows) if (values[key] !== undefined) check(`${name}.${key}`, row, values[key]);
  const complete = rows.map(([key, row]) => {
    const value = values[key] ?? defaults[key] ?? row.default;
    return [key, present(`${name}.${key}`, value)];
  });
  return Object.freeze(Object.fromEntries(complete));
}

function present(name: string, value: unknown): unknown {
  if (value === undefined) throw optionError('TypeError', name, 'must be given');
  return value;
}

function check(name: string, row: OptionRow<unknown>, value: unknown): void {
  const problem = row.check(value);
  if (problem) throw optionError(problem[0], name, problem[1]);
}

/** The object with nothing in it but the known keys; not given is empty. */
function object(name: string, given: unknown, known: readonly string[], prefix = `${name}.`): Record<string, unknown> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw optionError('TypeError', name, 'must be an object');
  }
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw optionError('TypeError', `${prefix}${key}`, 'is not an option');
  }
  return given as Record<string, unknown>;
}

function checkLog(log: unknown): void {
  if (log === undefined) return;
  const methods = ['debug', 'info', 'warn', 'error'] as const;
  const complete = methods.every(method => typeof (log as Partial<Log> | null)?.[method] === 'function');
  if (!complete) throw optionError('TypeError', 'log', `must have ${methods.join(', ')}`);
}

/** Never shows the value: it could be a password. */
export function optionError(kind: Kind, option: string, problem: string): OptionError {
  const message = `Option ${option} ${problem}.`;
  const error = kind === 'TypeError' ? new TypeError(message) : new RangeError(message);
  return Object.assign(error, { code: 'FABRIC_BAD_OPTION' as const, option });
}
