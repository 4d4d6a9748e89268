/** What the words of an SQL statement say about retrying it. Only the first words are looked at, and doubt counts as the worse case. */

const READS = /^[\s(]*(?:\/\*.*?\*\/\s*)*(?:select|show|explain|describe|desc)\b/is;
const LOCKS_OR_WRITES =
  /\b(?:for\s+update|for\s+share|lock\s+in\s+share\s+mode|into\s+(?:outfile|dumpfile|@)|get_lock\s*\()/i;
const STAYS_IN_TRANSACTION =
  /^[\s(]*(?:\/\*.*?\*\/\s*)*(?:select|insert|update|delete|replace|show|explain|do|savepoint|rollback)\b/is;
const SESSION_STATE =
  /^\s*(?:\/\*.*?\*\/\s*)*(?:(?:set|use|lock|prepare|handler|create\s+temporary)\b|(?:select|do)\b.*(?:\bget_lock\s*\(|@[\w$]+\s*:=|\binto\s+@))/is;

/** Only reads: running it twice changes nothing. */
export function onlyReads(sql: string): boolean {
  return READS.test(sql) && !LOCKS_OR_WRITES.test(sql);
}

/** Could end the transaction it runs in (COMMIT, DDL, ...): when its answer is lost, nobody knows whether it did. */
export function mayCommit(sql: string): boolean {
  return !STAYS_IN_TRANSACTION.test(sql);
}

/** Leaves something behind in the session that another server would not have. */
export function leavesSessionState(sql: string): boolean {
  return SESSION_STATE.test(sql);
}
