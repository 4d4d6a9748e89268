import { parseAddress } from './model.js';

/** Every option of the node: the sections and keys of fabric.cfg in camelCase, seconds as there. */

export interface EndpointOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly address: string;
  readonly user: string;
  /** Empty: the configuration has no account. */
  readonly password: string;
  readonly disableAuthentication: boolean;
  /** Files in PEM; empty: none. */
  readonly sslCert: string;
  readonly sslKey: string;
  /** Bounds on what clients may cost: numbers, bytes, and seconds. */
  readonly maxConnections: number;
  readonly maxRequestSize: number;
  readonly idleTimeout: number;
}

export interface XmlRpcOptions extends EndpointOptions {
  readonly sslCa: string;
  readonly maxHeaderSize: number;
  readonly maxPipelined: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
}

export interface MysqlOptions extends EndpointOptions {
  readonly loginTimeout: number;
}

/** Complete and checked; `parseFabricOptions` makes it from what the user gave. */
export interface FabricOptions {
  readonly servers: { readonly user: string; readonly password: string; readonly unreachableTimeout: number };
  readonly protocol: { readonly xmlrpc: XmlRpcOptions; readonly mysql?: MysqlOptions };
  readonly failureTracking: {
    readonly detections: number;
    readonly detectionInterval: number;
    readonly detectionTimeout: number;
    readonly notifications: number;
    readonly notificationClients: number;
    readonly notificationInterval: number;
    readonly failoverInterval: number;
  };
  readonly connector: { readonly ttl: number };
  readonly storage: StorageOptions;
}

/** Where the state is kept. `file` is SQLite's, the others are MySQL's; times in seconds. */
export interface StorageOptions {
  readonly type: 'memory' | 'sqlite' | 'mysql';
  readonly file: string;
  /** `host:port`. */
  readonly address: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly connectionTimeout: number;
  readonly connectionAttempts: number;
  readonly connectionDelay: number;
}

export type Kind = 'TypeError' | 'RangeError';
type Check = (value: unknown) => readonly [Kind, string] | null;

/** One key: what it means, what it may be, and what it is when it is not given (`undefined`: it must be given). */
export interface OptionRow<T> {
  readonly default: T | undefined;
  readonly check: Check;
  readonly doc: string;
  /** The name of a file: in fabric.cfg a relative one begins at the folder of that. */
  readonly file?: true;
}

export interface Sections {
  readonly servers: FabricOptions['servers'];
  readonly 'protocol.xmlrpc': XmlRpcOptions;
  readonly 'protocol.mysql': MysqlOptions;
  readonly failureTracking: FabricOptions['failureTracking'];
  readonly connector: FabricOptions['connector'];
  readonly storage: StorageOptions;
}

const text: Check = value => (typeof value === 'string' && value !== '' ? null : ['TypeError', 'must be text']);
const fileName: Check = value => (typeof value === 'string' ? null : ['TypeError', 'must be the name of a file']);
const flag: Check = value => (typeof value === 'boolean' ? null : ['TypeError', 'must be true or false']);
const number =
  (min: number, max: number): Check =>
  value => {
    if (typeof value !== 'number') return ['TypeError', 'must be a number'];
    return value >= min && value <= max ? null : ['RangeError', `must be from ${min} to ${max}`];
  };
const whole =
  (min: number, max: number): Check =>
  value =>
    number(min, max)(value) ?? (Number.isInteger(value) ? null : ['RangeError', 'must be a whole number']);
const address =
  (portZero: boolean): Check =>
  value => {
    if (typeof value !== 'string') return ['TypeError', 'must be text'];
    return 'problem' in parseAddress(value, undefined, portZero) ? ['RangeError', 'must be host:port'] : null;
  };
const endpointAddress = address(true);
const oneOf =
  (...names: readonly string[]): Check =>
  value =>
    text(value) ?? (names.includes(String(value)) ? null : ['RangeError', `must be one of ${names.join(', ')}`]);
const databaseName: Check = value =>
  text(value) ?? (/^[\w$-]{1,64}$/.test(String(value)) ? null : ['RangeError', 'must be a name of a database']);

/** Where an endpoint listens whose address names no port. */
export const XMLRPC_PORT = 32_274;
export const MYSQL_PORT = 32_275;

const USER = {
  default: 'admin',
  check: text,
  doc: 'Who may call all commands, beside the users of the state store.',
} as const;
const PASSWORD = {
  default: undefined,
  check: text,
  doc: "That user's password; needed unless authentication is off or the state store has users.",
};
const OPEN = { default: false, check: flag, doc: 'Let anyone who can connect call the commands.' } as const;
const file = (doc: string) => ({ default: '', check: fileName, doc, file: true }) as const;
const bytes = (fallback: number, doc: string) =>
  ({ default: fallback, check: whole(1_024, 2 ** 24 - 1), doc }) as const;
const seconds = (fallback: number, doc: string) => ({ default: fallback, check: number(0.1, 86_400), doc }) as const;
const CONNECTIONS = {
  default: 1_000,
  check: whole(1, 1_000_000),
  doc: 'Clients that have logged in, at most. As many more may be about to; when they are too many, the one that has waited longest goes.',
} as const;

/** Every option there is. Types, defaults, checks and the manual follow from it; the defaults are those of the original's fabric.cfg. */
export const OPTION_TABLE: {
  readonly [S in keyof Sections]: { readonly [K in keyof Sections[S]]-?: OptionRow<Sections[S][K]> };
} = {
  servers: {
    user: { default: 'fabric', check: text, doc: 'Account for managing every MySQL server, and for replication.' },
    password: { default: undefined, check: text, doc: 'Password of that account.' },
    unreachableTimeout: {
      default: 5,
      check: number(1, 60),
      doc: 'Seconds after which a server that does not answer counts as unreachable.',
    },
  },
  'protocol.xmlrpc': {
    address: {
      default: `127.0.0.1:${XMLRPC_PORT}`,
      check: endpointAddress,
      doc: 'Where the XML-RPC endpoint listens; port 0 takes any free one.',
    },
    user: USER,
    password: PASSWORD,
    disableAuthentication: OPEN,
    sslCa: file(
      'File with the certificates (PEM) that sign those of clients. One who shows another is refused; none need be shown.',
    ),
    sslCert: file(
      'File with the certificate (PEM) of the endpoint: with it the endpoint speaks HTTPS and nothing else.',
    ),
    sslKey: file('File with the private key (PEM) of that certificate.'),
    maxConnections: CONNECTIONS,
    maxRequestSize: bytes(1_048_576, 'Bytes of one request, its head aside.'),
    maxHeaderSize: bytes(16_384, 'Bytes of the head of a request.'),
    maxPipelined: {
      default: 20,
      check: whole(1, 1_000),
      doc: 'Requests that a client may send before their answers. They are carried out one after the other; whoever sends more is cut off.',
    },
    headersTimeout: seconds(10, 'Seconds for the handshake of TLS, and for the head of a request.'),
    requestTimeout: seconds(30, 'Seconds for a whole request, and for taking its answer.'),
    idleTimeout: seconds(60, 'Seconds for which a connection is kept for another request.'),
  },
  'protocol.mysql': {
    address: {
      default: `127.0.0.1:${MYSQL_PORT}`,
      check: endpointAddress,
      doc: 'Where the endpoint of the MySQL protocol listens; port 0 takes any free one. Without this section there is none.',
    },
    user: USER,
    password: PASSWORD,
    disableAuthentication: OPEN,
    sslCert: file('File with the certificate (PEM) of the endpoint: with it clients may encrypt their connections.'),
    sslKey: file('File with the private key (PEM) of that certificate.'),
    maxConnections: CONNECTIONS,
    maxRequestSize: bytes(1_048_576, 'Bytes of one command.'),
    loginTimeout: seconds(10, 'Seconds for logging in.'),
    idleTimeout: seconds(300, 'Seconds between two commands, and for taking an answer.'),
  },
  failureTracking: {
    detections: { default: 3, check: whole(1, 1_000), doc: 'Failed probes in a row that make a server FAULTY.' },
    detectionInterval: {
      default: 6,
      check: number(0.1, 3_600),
      doc: 'Seconds in which that many probes are made; fractions are allowed.',
    },
    detectionTimeout: {
      default: 1,
      check: number(0.1, 60),
      doc: 'Seconds that one probe may take; fractions are allowed.',
    },
    notifications: { default: 300, check: whole(1, 10_000), doc: 'Error reports that make a server FAULTY, ...' },
    notificationClients: { default: 50, check: whole(1, 10_000), doc: '... if they come from this many clients ...' },
    notificationInterval: { default: 60, check: number(1, 3_600), doc: '... within this many seconds.' },
    failoverInterval: {
      default: 0,
      check: number(0, 31_536_000),
      doc: 'Seconds after a change of the primary in which the next one does not happen by itself.',
    },
  },
  connector: {
    ttl: { default: 1, check: whole(0, 86_400), doc: 'Seconds for which clients may keep what they looked up.' },
  },
  storage: {
    type: {
      default: 'memory',
      check: oneOf('memory', 'sqlite', 'mysql'),
      doc: 'Where the state is kept: in memory until the node stops, in a file by SQLite, or on a MySQL server.',
    },
    file: { ...file('sqlite: the file; made when it is missing.'), default: 'fabric.sqlite', check: text },
    address: { default: 'localhost:3306', check: address(false), doc: 'mysql: the server, 5.6 or newer.' },
    user: { default: 'fabric', check: text, doc: 'mysql: the account, which owns the database.' },
    password: { default: undefined, check: text, doc: 'mysql: its password; needed there only.' },
    database: { default: 'fabric', check: databaseName, doc: 'mysql: the database; made when it is missing.' },
    connectionTimeout: {
      default: 6,
      check: number(0.1, 3_600),
      doc: 'mysql: seconds for connecting, and for each statement.',
    },
    connectionAttempts: {
      default: 6,
      check: whole(1, 1_000),
      doc: 'mysql: how often it is tried when the server cannot be reached.',
    },
    connectionDelay: { default: 1, check: number(0, 3_600), doc: 'mysql: seconds between two attempts.' },
  },
};
