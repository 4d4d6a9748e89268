import { describe, expect, it } from 'vitest';
import { connectionLost, givenUp } from '../../src/client/physical.js';
import {
  type Circumstances,
  connecting,
  mayBeReadOnly,
  type StatementError,
  undoesTransaction,
  type Verdict,
  verdict,
} from '../../src/client/verdict.js';

/**
 * What each error means, in each situation. A ruling is its outcome, then what is done: F refresh (forget) the topology, R report,
 * T try again, E evict the connection.
 */

type Situation =
  | 'connect'
  | 'read' // READONLY, repeatable
  | 'readOut' // READONLY, but rows were handed out, or it does not only read
  | 'write' // READWRITE outside a transaction, repeatable or not
  | 'inTx'
  | 'commit'
  | 'refused' // the connection was closed and did not take it
  | 'refusedTx';

const SITUATIONS: Readonly<Record<Situation, Circumstances>> = {
  connect: {
    phase: 'connect',
    mode: 3,
    inTransaction: false,
    mayCommit: false,
    repeatable: true,
    refusedWritable: false,
  },
  read: { phase: 'send', mode: 1, inTransaction: false, mayCommit: false, repeatable: true, refusedWritable: false },
  readOut: {
    phase: 'send',
    mode: 1,
    inTransaction: false,
    mayCommit: false,
    repeatable: false,
    refusedWritable: false,
  },
  write: { phase: 'send', mode: 3, inTransaction: false, mayCommit: false, repeatable: true, refusedWritable: false },
  inTx: { phase: 'send', mode: 3, inTransaction: true, mayCommit: false, repeatable: true, refusedWritable: false },
  commit: { phase: 'send', mode: 3, inTransaction: true, mayCommit: true, repeatable: false, refusedWritable: false },
  refused: {
    phase: 'refuse',
    mode: 3,
    inTransaction: false,
    mayCommit: false,
    repeatable: false,
    refusedWritable: false,
  },
  refusedTx: {
    phase: 'refuse',
    mode: 3,
    inTransaction: true,
    mayCommit: true,
    repeatable: false,
    refusedWritable: false,
  },
};

type Rulings = Readonly<Record<Situation, string>>;

const REFUSED = { refused: 'not-executed FRTE', refusedTx: 'rolled-back FRE' } as const;
const LOST: Rulings = {
  connect: 'not-executed FRTE',
  read: 'in-doubt FRTE',
  readOut: 'in-doubt FRE',
  write: 'in-doubt FRE',
  inTx: 'rolled-back FRE',
  commit: 'in-doubt FRE',
  ...REFUSED,
};
const UNSENT: Rulings = {
  connect: 'not-executed FRTE',
  read: 'not-executed FRTE',
  readOut: 'not-executed FRTE',
  write: 'not-executed FRTE',
  inTx: 'rolled-back FRE',
  commit: 'rolled-back FRE',
  ...REFUSED,
};
const READ_ONLY: Rulings = {
  connect: 'not-executed FRTE',
  read: 'answered',
  readOut: 'answered',
  write: 'not-executed FTE',
  inTx: 'rolled-back FE',
  commit: 'rolled-back FE',
  ...REFUSED,
};
const TIMEOUT: Rulings = {
  connect: 'not-executed FRTE',
  read: 'in-doubt E',
  readOut: 'in-doubt E',
  write: 'in-doubt E',
  inTx: 'rolled-back E',
  commit: 'in-doubt E',
  ...REFUSED,
};
const ANSWERED: Rulings = {
  connect: 'answered E',
  read: 'answered',
  readOut: 'answered',
  write: 'answered',
  inTx: 'answered',
  commit: 'answered',
  ...REFUSED,
};
/** mysql2's own trouble: the connection is not used again, and nothing is said about the server. */
const UNKNOWN: Rulings = {
  connect: 'answered E',
  read: 'answered E',
  readOut: 'answered E',
  write: 'answered E',
  inTx: 'answered E',
  commit: 'answered E',
  ...REFUSED,
};
/** As a loss, but it tells nothing about a server that one cannot connect to for a reason of our own. */
const UNREADABLE: Rulings = { ...LOST, connect: 'answered E' };
const OURS: Rulings = Object.fromEntries(
  Object.entries(LOST).map(([situation, ruling]) => [situation, ruling.replace('R', '')]),
) as Rulings;

function failed(fields: Partial<StatementError>): StatementError {
  return Object.assign(new Error('any words at all'), fields);
}

const lost = (code: string): StatementError => failed({ code, fatal: true });
const sql = (errno: number, code: string): StatementError => failed({ errno, code });

const TABLE: readonly [name: string, error: StatementError, Rulings][] = [
  ['PROTOCOL_CONNECTION_LOST', lost('PROTOCOL_CONNECTION_LOST'), LOST],
  ['ECONNRESET', failed({ code: 'ECONNRESET', errno: -104, fatal: true }), LOST],
  ['ECONNREFUSED', failed({ code: 'ECONNREFUSED', errno: -111, fatal: true }), LOST],
  ['ECONNABORTED', lost('ECONNABORTED'), LOST],
  ['ETIMEDOUT', lost('ETIMEDOUT'), LOST],
  ['EHOSTUNREACH', lost('EHOSTUNREACH'), LOST],
  ['EHOSTDOWN', lost('EHOSTDOWN'), LOST],
  ['ENETUNREACH', lost('ENETUNREACH'), LOST],
  ['ENETDOWN', lost('ENETDOWN'), LOST],
  ['ENOTFOUND', lost('ENOTFOUND'), LOST],
  ['EAI_AGAIN', lost('EAI_AGAIN'), LOST],
  ['PROTOCOL_PACKETS_OUT_OF_ORDER', lost('PROTOCOL_PACKETS_OUT_OF_ORDER'), LOST],
  ['1053 ER_SERVER_SHUTDOWN', sql(1053, 'ER_SERVER_SHUTDOWN'), LOST],
  ['1927 ER_CONNECTION_KILLED', sql(1927, 'ER_CONNECTION_KILLED'), LOST],
  ['EPIPE', failed({ code: 'EPIPE', errno: -32, fatal: true }), UNSENT],
  ['ERR_STREAM_DESTROYED', lost('ERR_STREAM_DESTROYED'), UNSENT],
  ['ERR_STREAM_WRITE_AFTER_END', lost('ERR_STREAM_WRITE_AFTER_END'), UNSENT],
  ['3032 ER_SERVER_OFFLINE_MODE', sql(3032, 'ER_SERVER_OFFLINE_MODE'), UNSENT],
  ['4031 ER_CLIENT_INTERACTION_TIMEOUT', sql(4031, 'ER_CLIENT_INTERACTION_TIMEOUT'), UNSENT],
  ['1290 ER_OPTION_PREVENTS_STATEMENT', sql(1290, 'ER_OPTION_PREVENTS_STATEMENT'), READ_ONLY],
  ['1792 read-only transaction', sql(1792, 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION'), READ_ONLY],
  ['1836 ER_READ_ONLY_MODE', sql(1836, 'ER_READ_ONLY_MODE'), READ_ONLY],
  ['3100 refused by group replication', sql(3100, 'ER_RUN_HOOK_ERROR'), READ_ONLY],
  ['PROTOCOL_SEQUENCE_TIMEOUT', failed({ code: 'PROTOCOL_SEQUENCE_TIMEOUT' }), TIMEOUT],
  ['1045 wrong password', failed({ errno: 1045, code: 'ER_ACCESS_DENIED_ERROR', fatal: true }), ANSWERED],
  ['1040 too many connections', failed({ errno: 1040, code: 'ER_CON_COUNT_ERROR', fatal: true }), ANSWERED],
  ['1226 limit of the user', sql(1226, 'ER_USER_LIMIT_REACHED'), ANSWERED],
  ['1062 duplicate key', sql(1062, 'ER_DUP_ENTRY'), ANSWERED],
  ['1064 syntax', sql(1064, 'ER_PARSE_ERROR'), ANSWERED],
  ['1205 lock wait', sql(1205, 'ER_LOCK_WAIT_TIMEOUT'), ANSWERED],
  ['1213 deadlock', sql(1213, 'ER_LOCK_DEADLOCK'), ANSWERED],
  ['1317 interrupted', sql(1317, 'ER_QUERY_INTERRUPTED'), ANSWERED],
  ['a number nobody knows', sql(60_001, 'ER_NEVER_SEEN'), ANSWERED],
  ['an error without number and code', failed({}), UNKNOWN],
  ['a file that is not there', failed({ code: 'ENOENT', errno: -2 }), UNKNOWN],
  ['an answer that cannot be read', failed({ fatal: true }), UNREADABLE],
  ['an answer out of place', lost('PROTOCOL_UNEXPECTED_PACKET'), UNREADABLE],
  ['a certificate for another name', lost('ERR_TLS_CERT_ALTNAME_INVALID'), UNREADABLE],
  ['a connection that we cut', givenUp('test'), OURS],
  ['a connection that we found closed', connectionLost('test'), LOST],
];

function words({ outcome, refresh, report, retry, evict }: Verdict): string {
  const deeds = `${refresh ? 'F' : ''}${report ? 'R' : ''}${retry ? 'T' : ''}${evict ? 'E' : ''}`;
  return `${outcome} ${deeds}`.trim();
}

const names = Object.keys(SITUATIONS) as Situation[];

describe('verdict', () => {
  it.each(TABLE)('%s', (_name, error, expected) => {
    const rulings = Object.fromEntries(names.map(name => [name, words(verdict(error, SITUATIONS[name]))]));
    expect(rulings).toEqual(expected);
  });

  it('a server that refused for read-only and is not read-only any more is asked once more', () => {
    const error = sql(1290, 'ER_OPTION_PREVENTS_STATEMENT');
    const writable = { ...SITUATIONS.write, phase: 'writable' } as const;
    expect(words(verdict(error, writable))).toBe('not-executed T');
    expect(words(verdict(error, { ...writable, refusedWritable: true }))).toBe('answered');
    expect(words(verdict(error, { ...writable, inTransaction: true }))).toBe('answered');
  });

  it('never looks at the message', () => {
    const misleading = Object.assign(new Error('read-only, connection lost, ECONNRESET, 1290'), { errno: 1064 });
    expect(words(verdict(misleading, SITUATIONS.write))).toBe('answered');
    expect(mayBeReadOnly(misleading)).toBe(false);
  });

  it('retries nothing in a transaction, and no write that may have been executed', () => {
    for (const [name, error] of TABLE) {
      for (const situation of ['inTx', 'commit', 'refusedTx'] as const) {
        expect(verdict(error, SITUATIONS[situation]).retry, `${name} ${situation}`).toBe(false);
      }
      const { outcome, retry } = verdict(error, { ...SITUATIONS.write, mode: 2 });
      if (retry) expect(outcome, name).toBe('not-executed');
    }
  });
});

it('before there is a connection nothing was sent, whatever the mode', () => {
  for (const mode of [1, 2, 3] as const) expect(connecting(mode)).toEqual({ ...SITUATIONS.connect, mode });
});

describe('undoesTransaction', () => {
  it.each([1213, 1614])('is a deadlock: %d', errno => {
    expect(undoesTransaction(Object.assign(new Error(''), { errno }))).toBe(true);
  });

  it.each([undefined, 1205, 1062, 1402])('is nothing else: %s', errno => {
    expect(undoesTransaction(Object.assign(new Error('Deadlock found'), { errno }) as StatementError)).toBe(false);
  });
});

describe('mayBeReadOnly', () => {
  it.each(TABLE)('%s', (_name, error, expected) => {
    expect(mayBeReadOnly(error)).toBe(expected === READ_ONLY);
  });
});
