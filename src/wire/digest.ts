/** HTTP digest authentication (MD5, qop=auth) as Fabric's XML-RPC protocol has it: the client's answer and the node's guard. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { NonceWindows } from './nonce-windows.js';

/** The realm in every stored password hash, whatever realm a node is configured to show. */
export const REALM = 'MySQL Fabric';

const URI = '/RPC2';
const PATHS: readonly string[] = [URI, '/'];
const QOP = 'auth';
const HASH = /^[\da-f]{32}$/i;

/** The stored form of a password: MD5 in hex of `user:MySQL Fabric:password`. */
export function ha1(user: string, password: string): string {
  return md5(`${user}:${REALM}:${password}`);
}

/** What a `WWW-Authenticate` header asks for. `qop` is the header's own text, perhaps a list; `opaque` may be empty. */
export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string;
  readonly algorithm: string;
  readonly qop: string;
  /** The answer was right but its nonce is used up: answer again, don't ask for another password. */
  readonly stale: boolean;
}

/** The first digest challenge of the header that `answer` can answer (MD5 with qop=auth); null when there is none. */
export function parseChallenge(header: string): Challenge | null {
  for (const scheme of header.matchAll(/(?:^|,)\s*Digest\s+/gi)) {
    const { fields } = parseFields(header.slice(scheme.index + scheme[0].length));
    const challenge = fields && toChallenge(fields);
    if (challenge) return challenge;
  }
  return null;
}

function toChallenge(fields: ReadonlyMap<string, string>): Challenge | null {
  const realm = fields.get('realm');
  const nonce = fields.get('nonce');
  if (realm === undefined || !nonce) return null;
  const { algorithm = 'MD5', qop = '', opaque = '', stale = '' } = Object.fromEntries(fields);
  if (algorithm.toUpperCase() !== 'MD5' || !qop.split(/[\s,]+/).includes(QOP)) return null;
  return { realm, nonce, opaque, algorithm, qop, stale: stale.toLowerCase() === 'true' };
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
  /** How often this nonce has been answered, this time included: 1 and up. */
  readonly nc: number;
  /** The client's own random text; made here unless given. */
  readonly cnonce?: string;
  readonly uri?: string;
  readonly method?: string;
}

/**
 * The value of the `Authorization` header, in the shape that Connector/Python sends. The hash is made with the literal
 * default realm, because the stored ones are. Throws RangeError for an `nc` that eight hex digits cannot write.
 */
export function answer(challenge: Challenge, credentials: Credentials): string {
  const { user, password, cnonce = randomBytes(8).toString('hex'), uri = URI, method = 'POST' } = credentials;
  const { realm, nonce, opaque, algorithm } = challenge;
  const nc = ncText(credentials.nc);
  const response = digest(ha1(user, password), { nonce, nc, cnonce }, method, uri);
  const fields = [`username=${quoted(user)}`, `realm=${quoted(realm)}`, `nonce=${quoted(nonce)}`, `uri=${quoted(uri)}`];
  fields.push(`response="${response}"`);
  if (opaque) fields.push(`opaque=${quoted(opaque)}`);
  fields.push(`algorithm=${quoted(algorithm)}`, `qop=${QOP}`, `nc=${nc}`, `cnonce=${quoted(cnonce)}`);
  return `Digest ${fields.join(', ')}`;
}

/** What the guard makes of a request: let it in, answer 401 with a challenge, or (as the original did) answer 400. */
export type Verdict =
  | { readonly outcome: 'granted'; readonly user: string }
  | { readonly outcome: 'challenge'; readonly stale: boolean }
  /** `user` whose password it was not; without one no password was looked at. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly user?: string };

export interface DigestGuardOptions {
  /** The realm to show, `MySQL Fabric` by default. With another, clients that hash the realm they see cannot log in. */
  readonly realm?: string;
  /** How long a nonce may be used, in milliseconds: 120,000 by default. */
  readonly lifetime?: number;
  /** How many used nonces are remembered: 16,384 by default. When they are more, the oldest nonces expire early. */
  readonly capacity?: number;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
  /** What nonces are signed with; random by default. Guards that share one also accept each other's used nonces. */
  readonly secret?: string | Uint8Array;
  /** The stored hash of a user's password (see `ha1`); undefined for an unknown user, or one without a password. */
  readonly passwordHash: (user: string) => string | undefined;
}

/** Fields of an `Authorization` header that is at least well formed. */
interface Answer {
  readonly user: string;
  readonly realm: string;
  readonly opaque: string;
  readonly nonce: string;
  readonly nc: string;
  readonly cnonce: string;
  readonly uri: string;
  readonly response: string;
}

/**
 * The node's side. A nonce carries its time and a signature, so that nothing needs to be kept for a challenge; only a
 * request that proved to know the password leaves an entry behind, until its nonce expires.
 */
export class DigestGuard {
  readonly #realm: string;
  readonly #lifetime: number;
  readonly #now: () => number;
  readonly #secret: string | Uint8Array;
  readonly #passwordHash: (user: string) => string | undefined;
  readonly #opaque: string;
  /** Unknown users are measured against this, so that they take as long as known ones. */
  readonly #nobody = randomBytes(16).toString('hex');
  readonly #windows: NonceWindows;

  constructor(options: DigestGuardOptions) {
    this.#realm = options.realm ?? REALM;
    this.#lifetime = options.lifetime ?? 120_000;
    this.#now = options.now ?? Date.now;
    this.#secret = options.secret ?? randomBytes(32);
    this.#opaque = createHmac('sha256', this.#secret).update('opaque').digest('hex').slice(0, 32);
    this.#passwordHash = options.passwordHash;
    this.#windows = new NonceWindows(options.capacity ?? 16_384);
    // Connector/J takes the challenge apart at each ',' and '='.
    if (!/^[\x20-\x7e]+$/.test(this.#realm) || /[",=\\]/.test(this.#realm)) {
      throw new RangeError(
        `realm must be printable ASCII without '"', ',', '=' and '\\': ${JSON.stringify(this.#realm)}`,
      );
    }
  }

  /** The value of a `WWW-Authenticate` header, with a nonce of its own. */
  challenge({ stale = false }: { readonly stale?: boolean } = {}): string {
    const nonce = this.#sign(this.#now(), randomBytes(12));
    const text = `Digest realm="${this.#realm}", nonce="${nonce}", algorithm="MD5", opaque="${this.#opaque}", qop="${QOP}"`;
    return stale ? `${text}, stale=true` : text;
  }

  /** Judges the `Authorization` header of a request with this method to this path. */
  verify(authorization: string | undefined, method: string, path: string): Verdict {
    if (!PATHS.includes(path)) return refused('unknown path');
    // Basic and the like: the client has not yet understood how to log in here.
    if (!authorization || !/^\s*Digest(?:\s|$)/i.test(authorization)) return { outcome: 'challenge', stale: false };
    const answered = this.#parse(authorization);
    if (typeof answered === 'string') return refused(answered);
    const issued = this.#issued(answered.nonce);
    if (issued === undefined) return { outcome: 'challenge', stale: false };
    if (answered.realm !== this.#realm || answered.opaque !== this.#opaque) return refused('wrong realm or opaque');
    if (!this.#knowsPassword(answered, method)) {
      return { outcome: 'refused', reason: 'wrong user or password', user: answered.user };
    }
    // From here on a refusal only says that the nonce is used up: the client may answer a new challenge by itself.
    return this.#use(answered, issued)
      ? { outcome: 'granted', user: answered.user }
      : { outcome: 'challenge', stale: true };
  }

  /** The answer's fields, or what is wrong with them. */
  #parse(authorization: string): Answer | string {
    if (authorization.length > 4096) return 'header too long';
    const { fields, rest } = parseFields(authorization.replace(/^\s*\w+\s*/, ''));
    if (!fields || rest !== '') return 'malformed header';
    const get = (name: string): string => fields.get(name) ?? '';
    if (get('qop') !== QOP) return 'qop must be auth';
    if ((fields.get('algorithm') ?? 'MD5').toUpperCase() !== 'MD5') return 'algorithm must be MD5';
    const [user, nonce, nc, cnonce] = [get('username'), get('nonce'), get('nc'), get('cnonce')];
    const [uri, response] = [get('uri'), get('response')];
    if (!user || !nonce || !cnonce || !uri) return 'username, nonce, cnonce and uri are needed';
    if (!/^[\da-f]{8}$/i.test(nc) || /^0+$/.test(nc)) return 'nc must be eight hex digits, from 00000001';
    if (!HASH.test(response)) return 'response must be 32 hex digits';
    return { user, realm: get('realm'), opaque: get('opaque'), nonce, nc, cnonce, uri, response };
  }

  /** The original hashed `/RPC2` whatever the header's uri said; a client that hashes the uri it sent is right as well. */
  #knowsPassword(answered: Answer, method: string): boolean {
    const stored = this.#passwordHash(answered.user)?.toLowerCase() ?? '';
    // An account without a password has an empty hash, with which anybody could answer.
    const known = HASH.test(stored);
    const hash = known ? stored : this.#nobody;
    const uris = [URI, PATHS.includes(answered.uri) ? answered.uri : URI];
    const matches = uris.map(uri => sameText(digest(hash, answered, method, uri), answered.response.toLowerCase()));
    return matches.includes(true) && known;
  }

  #use({ nonce, nc }: Answer, issued: number): boolean {
    const now = this.#now();
    const age = now - issued;
    // A nonce from the future means that the clock was set back: it would live too long.
    if (age < 0 || age >= this.#lifetime) return false;
    return this.#windows.use({ nonce, issued, expires: issued + this.#lifetime }, Number.parseInt(nc, 16), now);
  }

  /** 6 bytes of time, 12 random ones, 18 of signature: 48 characters of base64url, without '=' at the end. */
  #sign(time: number, random: Uint8Array): string {
    const body = Buffer.alloc(18);
    body.writeUIntBE(Math.max(0, Math.floor(time)), 0, 6);
    body.set(random, 6);
    const signature = createHmac('sha256', this.#secret).update(body).digest().subarray(0, 18);
    return Buffer.concat([body, signature]).toString('base64url');
  }

  /** When a nonce of ours was made; undefined for one that is not ours. */
  #issued(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== 36) return undefined;
    const time = bytes.readUIntBE(0, 6);
    return sameText(this.#sign(time, bytes.subarray(6, 18)), nonce) ? time : undefined;
  }
}

function refused(reason: string): Verdict {
  return { outcome: 'refused', reason };
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function digest(
  hash: string,
  part: { nonce: string; nc: string; cnonce: string },
  method: string,
  uri: string,
): string {
  return md5(`${hash}:${part.nonce}:${part.nc}:${part.cnonce}:${QOP}:${md5(`${method}:${uri}`)}`);
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function ncText(nc: number): string {
  if (!Number.isInteger(nc) || nc < 1 || nc > 0xffff_ffff) {
    throw new RangeError(`nc must be an integer from 1 to ${0xffff_ffff}: ${nc}`);
  }
  return nc.toString(16).padStart(8, '0');
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const FIELD = /\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)/y;

/**
 * `name=value, name="value"` up to the first thing that is none. No fields where a name comes twice: two readers could
 * take different ones.
 */
function parseFields(text: string): { fields: ReadonlyMap<string, string> | null; rest: string } {
  const fields = new Map<string, string>();
  let end = 0;
  FIELD.lastIndex = 0;
  for (let found = FIELD.exec(text); found; found = FIELD.exec(text)) {
    const name = (found[1] ?? '').toLowerCase();
    if (fields.has(name)) return { fields: null, rest: text };
    fields.set(name, found[2]?.replace(/\\(.)/g, '$1') ?? found[3] ?? '');
    end = FIELD.lastIndex;
  }
  return { fields, rest: text.slice(end).trim() };
}
