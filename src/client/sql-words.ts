/**
 * What the words of an SQL statement say about retrying it. Little of the grammar is known here, and doubt counts as the worse case. All
 * of it takes time linear in the length of the text, which may be megabytes.
 */

const READS = /(?:select|show|explain(?!\s+analyze\b)|describe|desc)\b/iy;
const LOCKS_OR_WRITES =
  /\b(?:for\s+update|for\s+share|lock\s+in\s+share\s+mode|into\s+(?:outfile|dumpfile|@)|get_lock\s*\()/i;
const STAYS_IN_TRANSACTION =
  /(?:select|insert|update|delete|replace|show|explain|describe|desc|do|savepoint|release|rollback)\b/iy;
const STEPS = {
  begin: /(?:begin|start\s+transaction)\b/iy,
  commit: /commit\b/iy,
  rollback: /rollback\b(?!\s+(?:work\s+)?to\b)/iy,
};
const SETS_STATE = /(?:set|use|lock|flush|prepare|handler|xa|create\s+(?:or\s+replace\s+)?temporary)\b/iy;
const WORD = /[a-z]{1,30}\b/iy;
/** In a statement without its texts, and so without the name of a variable that is quoted as one. */
const ASSIGNMENT = /@(?:[\w$.]*|`[^`]{1,64}`)\s*:=/;
const QUOTE = /['"]/g;
const ENDS_TEXT = { "'": /['\\]/g, '"': /["\\]/g };
const MAY_ASSIGN = /(?:select|do|with|update|table|values)\b/iy;
const ASSIGNS = /\bget_lock\s*\(|\binto\s+@/i;
/** What fills the variables that it is given; a variable's `@` does not follow a letter (that of a mail address does). */
const FILLS = /(?:call|load|get|import)\b/iy;
const VARIABLE = /(?<![\w@'"])@(?!@)/;
const INSERT_ID = /\blast_insert_id\s*\(|@@\s*(?:(?:session|local)\s*\.\s*)?(?:last_insert_id|identity)\b/i;

/** Only reads: running it twice changes nothing. */
export function onlyReads(sql: string): boolean {
  return beginsWith(READS, sql, firstWord(sql)) && !LOCKS_OR_WRITES.test(sql) && !hidesMore(sql);
}

/** Its first word in capitals: SELECT, INSERT, BEGIN, ...; undefined: it has none. */
export function operationOf(sql: string): string | undefined {
  WORD.lastIndex = firstWord(sql);
  return WORD.exec(sql)?.[0].toUpperCase();
}

/** Could end the transaction it runs in (COMMIT, DDL, ...): when its answer is lost, nobody knows whether it did. */
export function mayCommit(sql: string): boolean {
  return !beginsWith(STAYS_IN_TRANSACTION, sql, firstWord(sql)) || hidesMore(sql);
}

/** What it does with the transaction as a whole, as the application says it; undefined: nothing, or not in so many words. */
export function transactionStep(sql: string): keyof typeof STEPS | undefined {
  const word = firstWord(sql);
  return (['begin', 'commit', 'rollback'] as const).find(step => beginsWith(STEPS[step], sql, word));
}

/** Leaves something behind in the session that another server would not have. */
export function leavesSessionState(sql: string): boolean {
  let word = firstWord(sql);
  if (sql.includes(':=') && ASSIGNMENT.test(withoutTexts(sql))) return true;
  if (beginsWith(MAY_ASSIGN, sql, word) && ASSIGNS.test(sql)) return true;
  if (beginsWith(FILLS, sql, word) && VARIABLE.test(sql)) return true;
  while (!beginsWith(SETS_STATE, sql, word)) {
    const next = afterNext(';', sql, word);
    if (next < 0) return false;
    word = firstWord(sql, next);
  }
  return true;
}

/** Asks for what an insert before it left in the session. */
export function asksForInsertId(sql: string): boolean {
  return INSERT_ID.test(sql);
}

/** Would be of no use in another session. */
export function isOfSession(sql: string): boolean {
  return transactionStep(sql) !== undefined || leavesSessionState(sql);
}

/** Perhaps: the semicolon may also be part of a text. */
export function severalStatements(sql: string): boolean {
  const semicolon = sql.indexOf(';');
  return semicolon >= 0 && sql.slice(semicolon + 1).trim() !== '';
}

/** Behind its first words there may be another statement, or a comment that the server executes. */
function hidesMore(sql: string): boolean {
  return severalStatements(sql) || sql.includes('/*!') || sql.includes('/*M!');
}

/** Where the first word from `at` on begins: after blanks, parentheses and comments. The words of a comment that is executed count. */
export function firstWord(sql: string, from = 0): number {
  let at = from;
  for (;;) {
    at = endOf(BLANKS, sql, at);
    if (sql.startsWith('--', at) || sql[at] === '#') at = afterNext('\n', sql, at);
    else if (!sql.startsWith('/*', at)) return at;
    else at = beginsWith(EXECUTED, sql, at) ? EXECUTED.lastIndex : afterNext('*/', sql, at + 2);
    if (at < 0) return sql.length;
  }
}

/** What stands in quotes is left out. (No expression that repeats: on megabytes it would use up the stack.) */
function withoutTexts(sql: string): string {
  let code = '';
  let at = 0;
  QUOTE.lastIndex = 0;
  for (let quote = QUOTE.exec(sql); quote !== null; quote = QUOTE.exec(sql)) {
    code += sql.slice(at, quote.index);
    at = afterText(sql, QUOTE.lastIndex, ENDS_TEXT[quote[0] as "'" | '"']);
    QUOTE.lastIndex = at;
  }
  return code + sql.slice(at);
}

/** Behind the quote that ends a text, or at the end of `sql`. @param ends finds that quote, or what takes the next character's meaning. */
function afterText(sql: string, from: number, ends: RegExp): number {
  ends.lastIndex = from;
  for (let found = ends.exec(sql); found !== null; found = ends.exec(sql)) {
    if (found[0] !== '\\') return ends.lastIndex;
    ends.lastIndex += 1;
  }
  return sql.length;
}

const BLANKS = /[\s(]*/y;
const EXECUTED = /\/\*M?!\d*/y;

function endOf(sticky: RegExp, sql: string, at: number): number {
  sticky.lastIndex = at;
  sticky.test(sql);
  return sticky.lastIndex;
}

function beginsWith(sticky: RegExp, sql: string, at: number): boolean {
  sticky.lastIndex = at;
  return sticky.test(sql);
}

/** Behind the next `mark`; -1 when there is none. */
function afterNext(mark: string, sql: string, at: number): number {
  const found = sql.indexOf(mark, at);
  return found < 0 ? -1 : found + mark.length;
}
