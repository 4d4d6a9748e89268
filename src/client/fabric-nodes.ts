import { isIPv6 } from 'node:net';
import { badInput } from './errors.js';
import { type FabricTls, type FabricTlsOptions, parseTls } from './fabric-tls.js';

/** One Fabric node, several with one account, or a URI; see `parseNodes`. */
export type FabricOption = string | FabricNodeOptions | readonly (string | FabricNodeOptions)[];

export interface FabricNodeOptions {
  /** Host name or `host:port`; several with commas. Default port 32274. */
  host?: string;
  port?: number;
  /** Further nodes, each `host:port` or `{ host, port }`. They share the account. */
  nodes?: readonly (string | { host: string; port?: number })[];
  user?: string;
  /** The same as `user`. */
  username?: string;
  password?: string;
  /** Encrypt, and trust the authorities that Node.js knows. Implied by the three below. */
  https?: boolean;
  /** Whom to trust: a file with certificates (PEM), or their text. */
  sslCa?: string;
  /** What to show a node that asks for it: a file with a certificate (PEM), or its text; with `sslKey`. */
  sslCert?: string;
  /** That certificate's private key: a file (PEM), or its text. */
  sslKey?: string;
  /** See `ClientOptions.reportErrors`. */
  reportErrors?: boolean;
  /** See `ClientOptions.ttl`. */
  ttl?: number;
  /** See `ClientOptions.fabricTimeout`. */
  timeout?: number;
}

/** One Fabric node's XML-RPC address and the account to use there. */
export interface FabricNode {
  readonly host: string;
  readonly port: number;
  /** Without user and password no authentication is tried. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** null: the connection is not encrypted. */
  readonly tls: FabricTls | null;
}

type Account = Pick<FabricNode, 'user' | 'password' | 'tls'>;

const DEFAULT_PORT = 32_274;
const NOBODY: Account = { user: undefined, password: undefined, tls: null };
/** Parameters of a URI that are the nodes' own: `ssl` itself is mysql2's. */
const TLS_PARAMETERS: ReadonlyMap<string, keyof FabricTlsOptions> = new Map([
  ['fabricHttps', 'https'],
  ['fabricSslCa', 'sslCa'],
  ['fabricSslCert', 'sslCert'],
  ['fabricSslKey', 'sslKey'],
]);
const SCHEME = /^(?:mysql\+fabric|mysql-fabric):\/\//i;

/**
 * The nodes in the order in which they are tried.
 * @param fabric `'h1'`, `'h1:32274,h2:32274'`, a URI `mysql+fabric://user:password@h1:32274,h2:32274/database?group=g&mode=READONLY`,
 *   `{ host, port, user, password }`, `{ nodes: [...], user, password }`, or an array of those.
 * @throws TypeError, RangeError (FABRIC_BAD_OPTION) naming `fabric`.
 */
export function parseNodes(fabric: FabricOption): readonly FabricNode[] {
  const nodes = (Array.isArray(fabric) ? fabric : [fabric]).flatMap(entry =>
    typeof entry === 'string' ? nodesOfText(entry) : nodesOfObject(entry),
  );
  if (nodes.length === 0) throw bad(TypeError, 'expected at least one Fabric node');
  return Object.freeze(nodes);
}

/** What a URI says besides its nodes: defaults for the options beside it. */
export function parseFabricUri(uri: string): { defaults: Record<string, unknown> } {
  if (!SCHEME.test(uri)) return { defaults: {} };
  const { user, password, path, query } = splitUri(uri);
  const defaults: Record<string, unknown> = Object.create(null);
  if (user !== undefined) defaults.user = user;
  if (password !== undefined) defaults.password = password;
  if (path !== '') defaults.database = path;
  for (const [name, value] of query)
    if (!(name in defaults) && !TLS_PARAMETERS.has(name)) defaults[name] = name === 'group' ? value : plainValue(value);
  return { defaults };
}

function tlsOfQuery(query: URLSearchParams): FabricTlsOptions {
  const given = [...TLS_PARAMETERS].flatMap(([parameter, name]) => {
    const value = query.get(parameter);
    return value === null ? [] : [[name, name === 'https' ? plainValue(value) : value] as const];
  });
  return Object.fromEntries(given);
}

/** Numbers, booleans, lists and objects as such: `ttl=5`, `reportErrors=false`, `ssl={}`; as mysql2 does. (A group may be called 5.) */
function plainValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^[[{]/.test(text)) return parsed(text);
  return /^(?:0|[1-9]\d{0,14})(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function nodesOfText(text: string): FabricNode[] {
  if (!SCHEME.test(text)) {
    if (text.includes('://')) throw bad(RangeError, 'expected a URI that starts with mysql+fabric://');
    return text.split(',').map(host => node(host.trim(), undefined, NOBODY));
  }
  const { hosts, user, password, query } = splitUri(text);
  const tls = parseTls(tlsOfQuery(query));
  return hosts.map(host => node(host, undefined, { user, password, tls }));
}

function nodesOfObject(entry: FabricNodeOptions): FabricNode[] {
  if (entry === null || typeof entry !== 'object') {
    throw bad(TypeError, 'expected { host, port, user, password }, host:port, or a mysql+fabric:// URI');
  }
  if (entry.user !== undefined && entry.username !== undefined && entry.user !== entry.username) {
    throw bad(TypeError, 'user and username are the same thing; give one');
  }
  const account = { user: entry.user ?? entry.username, password: entry.password, tls: parseTls(entry) };
  const own = entry.host === undefined ? [] : hostsOf(entry.host).map(host => node(host, entry.port, account));
  const more = (entry.nodes ?? []).map(other =>
    typeof other === 'string' ? node(other, undefined, account) : node(other.host, other.port, account),
  );
  if (own.length + more.length === 0) throw bad(TypeError, 'expected host (the Fabric node), or nodes');
  return [...own, ...more];
}

function hostsOf(host: unknown): string[] {
  if (typeof host !== 'string' || host === '') throw bad(TypeError, 'host must be a host name');
  return host.split(',').map(part => part.trim());
}

/** `text` is `host`, `host:port`, `[v6]`, `[v6]:port` or a bare v6 address. */
function node(text: unknown, port: unknown, account: Account): FabricNode {
  if (typeof text === 'string' && isIPv6(text)) return node(`[${text}]`, port, account);
  const match = typeof text === 'string' ? /^(?:\[([^\]\s]+)\]|([^:\s[\]@/]+))(?::(\d+))?$/.exec(text) : null;
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) throw bad(RangeError, 'expected host or host:port');
  const number = match[3] === undefined ? (port ?? DEFAULT_PORT) : Number(match[3]);
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 65_535) {
    throw bad(RangeError, 'port must be a whole number from 1 to 65535');
  }
  return Object.freeze({ host, port: number, ...account });
}

/** By hand, because `URL` knows one host only. */
function splitUri(uri: string): {
  hosts: string[];
  user: string | undefined;
  password: string | undefined;
  path: string;
  query: URLSearchParams;
} {
  const rest = uri.replace(SCHEME, '');
  const [, authority = '', path = '', search = ''] = /^([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?/.exec(rest) ?? [];
  const at = authority.lastIndexOf('@');
  const [user, password] = at < 0 ? [] : splitOnce(authority.slice(0, at), ':').map(decode);
  const hosts = authority.slice(at + 1).split(',');
  return { hosts, user, password, path: decode(path), query: new URLSearchParams(search) };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Never quotes the text: it may be a password. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad(RangeError, 'the URI has a broken %-escape');
  }
}

function bad(kind: typeof TypeError | typeof RangeError, expected: string): Error {
  return badInput(kind, 'FABRIC_BAD_OPTION', 'fabric', expected);
}
