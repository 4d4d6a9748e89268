import { MODE_READONLY } from '../wire/topology.js';
import type { ErrorFacts, Outcome } from './errors.js';
import type { RequestMode } from './route.js';

/**
 * What an error of a statement means: how far the statement got, and what to do about it. One table of codes, one rule per kind;
 * message text is never looked at.
 */

type Kind =
  /** No connection could be made, or it died. Says something about the server. */
  | 'lost'
  /** As `lost`, but the statement certainly did not leave. */
  | 'unsent'
  /** The server takes no writes. */
  | 'read-only'
  /** The application's own bound passed, or it gave up; says nothing about the server, but the connection is busy for ever. */
  | 'timeout'
  /** The server has no room for another connection; says nothing about its health. */
  | 'full'
  /** The server answered with an ordinary error. */
  | 'answered'
  /** mysql2 itself failed on what it read or was to send (a local file, ...): nobody knows what the connection still carries. */
  | 'unknown';

const KINDS: Readonly<Record<Exclude<Kind, 'answered' | 'unknown'>, readonly (string | number)[]>> = {
  lost: [
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'EHOSTDOWN',
    'ENETUNREACH',
    'ENETDOWN',
    'ENOTFOUND',
    'EAI_AGAIN',
    'PROTOCOL_CONNECTION_LOST',
    'PROTOCOL_PACKETS_OUT_OF_ORDER',
    1053, // ER_SERVER_SHUTDOWN: the running statement may or may not have been undone
    1927, // ER_CONNECTION_KILLED
  ],
  unsent: [
    'EPIPE', // the kernel refused the write: the peer was gone before the statement left
    'ERR_STREAM_DESTROYED', // Node refused it
    'ERR_STREAM_WRITE_AFTER_END',
    3032, // ER_SERVER_OFFLINE_MODE
    4031, // ER_CLIENT_INTERACTION_TIMEOUT: the server had closed the session before it read the statement
  ],
  'read-only': [
    1290, // ER_OPTION_PREVENTS_STATEMENT: --read-only, --super-read-only (and other options: the session asks the server)
    1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836, // ER_READ_ONLY_MODE
    3100, // ER_RUN_HOOK_ERROR: group replication took the role away before the commit (or did something else: the server is asked)
  ],
  timeout: ['PROTOCOL_SEQUENCE_TIMEOUT', 'FABRIC_ABORTED'],
  full: [
    1040, // ER_CON_COUNT_ERROR
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1226, // ER_USER_LIMIT_REACHED
  ],
};

const kindOfCode = new Map(
  Object.entries(KINDS).flatMap(([kind, codes]) => codes.map(code => [code, kind as Kind] as const)),
);

/** mysql2's errors as far as they are looked at. */
export interface StatementError extends Error {
  code?: string | undefined;
  errno?: number | undefined;
  fatal?: boolean | undefined;
  /** This client cut the connection itself, so it says nothing about the server. */
  ours?: boolean;
  /** Set by the session on every error of a routed statement. */
  fabric?: ErrorFacts;
}

/**
 * `connect`: there was no connection yet; `refuse`: the connection was closed and did not take it; `send`: it was handed to one;
 * `writable`: it was sent, refused as for a read-only server, and the server says now that it is not read-only.
 */
export type Phase = 'connect' | 'refuse' | 'send' | 'writable';

export interface Circumstances {
  readonly phase: Phase;
  readonly mode: RequestMode;
  readonly inTransaction: boolean;
  /** The statement is COMMIT or one that commits implicitly, or cannot be told from one. */
  readonly mayCommit: boolean;
  /** The statement only reads, and no row of it was handed out yet. */
  readonly repeatable: boolean;
  /** The last time, too, it was refused as by a read-only server, by one that was none. */
  readonly refusedWritable: boolean;
}

/** What holds before anything was sent. */
export function connecting(mode: RequestMode): Circumstances {
  return { phase: 'connect', mode, inTransaction: false, mayCommit: false, repeatable: true, refusedWritable: false };
}

export interface Verdict {
  readonly outcome: Outcome;
  /** The topology may be out of date. */
  readonly refresh: boolean;
  /** Tell the Fabric node (`threat.report_error`). */
  readonly report: boolean;
  /** Run the statement again, on whatever server is right then. */
  readonly retry: boolean;
  /** The connection is of no more use. */
  readonly evict: boolean;
  /** Another server may take it at once; this one is left alone for a moment, and nobody is told. */
  readonly elsewhere?: boolean;
}

export function verdict(error: StatementError, at: Circumstances): Verdict {
  const ruling = rule(kindOf(error, at.phase), at);
  return error.ours === true && ruling.report ? { ...ruling, report: false } : ruling;
}

function rule(kind: Kind, at: Circumstances): Verdict {
  if (at.phase === 'connect') return kind === 'full' ? FULL : kind === 'answered' ? REFUSED : UNREACHED;
  switch (kind) {
    case 'lost':
      return lost(at);
    case 'unsent':
      return at.inTransaction ? { ...lost(at), outcome: 'rolled-back' } : UNREACHED;
    case 'read-only':
      return readOnly(at);
    case 'timeout':
      return { ...lost(at), refresh: false, report: false, retry: false };
    case 'answered':
    case 'full':
      return ANSWERED;
    case 'unknown':
      return REFUSED;
  }
}

/** ER_LOCK_DEADLOCK, ER_XA_RBDEADLOCK: the server has rolled back the whole transaction, and goes on without one. */
export function undoesTransaction({ errno }: StatementError): boolean {
  return errno === 1213 || errno === 1614;
}

/** Whether the error says that the server takes no writes; only the server itself can tell for sure (1290 has other causes). */
export function mayBeReadOnly(error: StatementError): boolean {
  return kindOf(error) === 'read-only';
}

function kindOf(error: StatementError, phase: Phase = 'send'): Kind {
  if (phase === 'refuse') return 'unsent';
  const kind = kindOfCode.get(error.errno ?? '') ?? kindOfCode.get(error.code ?? '');
  if (kind !== undefined) return kind;
  if (phase === 'connect' || (error.errno ?? 0) > 0) return 'answered';
  // Without a number it is not the server's. A fatal one (a packet that cannot be read) leaves open what the server did.
  return error.fatal === true ? 'lost' : 'unknown';
}

const ANSWERED: Verdict = { outcome: 'answered', refresh: false, report: false, retry: false, evict: false };
const AGAIN: Verdict = { outcome: 'not-executed', refresh: false, report: false, retry: true, evict: false };
/** Wrong password: trying again would not help, and the connection is of no use. */
const REFUSED: Verdict = { outcome: 'answered', refresh: false, report: false, retry: false, evict: true };
const FULL: Verdict = { ...REFUSED, elsewhere: true };
const UNREACHED: Verdict = { outcome: 'not-executed', refresh: true, report: true, retry: true, evict: true };

function lost(at: Circumstances): Verdict {
  const rolledBack = at.inTransaction && !at.mayCommit;
  return {
    outcome: rolledBack ? 'rolled-back' : 'in-doubt',
    refresh: true,
    report: true,
    retry: !at.inTransaction && at.mode === MODE_READONLY && at.repeatable,
    evict: true,
  };
}

/** A READONLY statement that writes is the caller's mistake; else the server lost its role and refused the statement whole. */
function readOnly(at: Circumstances): Verdict {
  if (at.mode === MODE_READONLY) return ANSWERED;
  // Writable again already: refused whole a moment ago, so once more; refused twice, it was for another reason.
  if (at.phase === 'writable') return at.refusedWritable || at.inTransaction ? ANSWERED : AGAIN;
  const outcome = at.inTransaction ? 'rolled-back' : 'not-executed';
  return { outcome, refresh: true, report: false, retry: !at.inTransaction, evict: true };
}
