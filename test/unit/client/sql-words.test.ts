import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leavesSessionState, mayCommit, onlyReads, transactionStep } from '../../../src/client/sql-words.js';
import { cpuTime } from '../../cpu-time.js';

/** What each statement says: r only reads, c may commit, s leaves session state. */
const CASES: readonly [sql: string, says: string][] = [
  ['SELECT 1', 'r'],
  ['select * from t where a = ?', 'r'],
  ['  \n\t(SELECT 1) UNION (SELECT 2)', 'r'],
  ['/* hint */ select 1', 'r'],
  ['/* a */ /* b */select 1', 'r'],
  ['/**/select 1', 'r'],
  ['-- why\nselect 1', 'r'],
  ['# why\nselect 1', 'r'],
  ['-- why\n/* b */ # c\n select 1', 'r'],
  ['SELECT 1;', 'r'],
  ['SELECT 1 ; \n', 'r'],
  ['SHOW TABLES', 'r'],
  ['EXPLAIN SELECT 1', 'r'],
  ['DESC t', 'r'],
  ['describe t', 'r'],
  ['selection', 'c'],
  ['SELECT a FROM t FOR UPDATE', ''],
  ['SELECT a FROM t for\n  share', ''],
  ['SELECT a FROM t LOCK IN SHARE MODE', ''],
  ["SELECT a FROM t INTO OUTFILE '/x'", ''],
  ["SELECT a FROM t INTO DUMPFILE '/x'", ''],
  ['EXPLAIN ANALYZE DELETE t FROM t JOIN u', ''],
  // several statements, of which only the first is seen
  ['SELECT 1; DELETE FROM t', 'c'],
  ['SELECT 1; COMMIT', 'c'],
  ['INSERT INTO t VALUES (1); COMMIT', 'c'],
  ['SELECT 1; SET @a = 1', 'cs'],
  ['INSERT INTO t VALUES (1); USE other', 'cs'],
  ["SELECT ';'", 'c'],
  // comments that the server executes
  ['/*!50000 SELECT */ 1', 'c'],
  ['/*! INSERT INTO t */ SELECT 1', 'c'],
  ['SELECT 1 /*! INTO OUTFILE "x" */', 'c'],
  ['/*!40101 SET NAMES utf8 */', 'cs'],
  ['/*M! SET @a = 1 */', 'cs'],
  // writes
  ['INSERT INTO t VALUES (1)', ''],
  ['update t set a = 1', ''],
  ['DELETE FROM t', ''],
  ['REPLACE INTO t VALUES (1)', ''],
  ['SAVEPOINT a', ''],
  ['RELEASE SAVEPOINT a', ''],
  ['ROLLBACK', ''],
  ['ROLLBACK TO SAVEPOINT a', ''],
  ['DO SLEEP(1)', ''],
  // what commits, or cannot be told from what does
  ['COMMIT', 'c'],
  ['begin', 'c'],
  ['START TRANSACTION', 'c'],
  ['CREATE TABLE t (a INT)', 'c'],
  ['ALTER TABLE t ADD b INT', 'c'],
  ['DROP TABLE t', 'c'],
  ['TRUNCATE t', 'c'],
  ['CALL p()', 'c'],
  ['WITH c AS (SELECT 1) SELECT * FROM c', 'c'],
  ['WITH c AS (SELECT 1) DELETE FROM t', 'c'],
  ['LOAD DATA INFILE "x" INTO TABLE t', 'c'],
  ['', 'c'],
  ['/* not closed select 1', 'c'],
  ['-- select 1', 'c'],
  // session state
  ['SET @a = 1', 'cs'],
  ['set time_zone = "+00:00"', 'cs'],
  ['-- why\nSET @a = 1', 'cs'],
  ['USE other', 'cs'],
  ['LOCK TABLES t WRITE', 'cs'],
  ['FLUSH TABLES WITH READ LOCK', 'cs'],
  ['PREPARE s FROM "SELECT 1"', 'cs'],
  ['CREATE TEMPORARY TABLE t (a INT)', 'cs'],
  ['create\n temporary table t (a int)', 'cs'],
  ['HANDLER t OPEN', 'cs'],
  ['XA START "x"', 'cs'],
  ['SELECT GET_LOCK("a", 1)', 's'],
  ['SELECT @a := 1', 'rs'],
  ['SELECT a INTO @a FROM t', 's'],
  ['DO GET_LOCK("a", 1)', 's'],
  ['UPDATE t SET a = (@a := a)', 's'],
  ['setup', 'c'],
  ['INSERT INTO t VALUES ("set @a := 1")', ''],
  [String.raw`INSERT INTO t VALUES ('it\'s @a := 1')`, ''],
  ['INSERT INTO t SELECT @a := @a + 1', 's'],
  ["INSERT INTO t SELECT 'x', @'a b' := 1", 's'],
  ['SELECT @`a b` := 1', 'rs'],
  ['DELETE FROM t WHERE (@a := id) = 5', 's'],
  ['CALL total(@total)', 'cs'],
  ["CALL mail('a@b.example', '@c')", 'c'],
  ['CALL show_it(@@session.sql_mode)', 'c'],
  ["LOAD DATA INFILE 'x' INTO TABLE t (@a) SET b = @a", 'cs'],
  ['GET DIAGNOSTICS @a = NUMBER', 'cs'],
  ['TABLE t INTO @a', 'cs'],
];

function says(sql: string): string {
  return `${onlyReads(sql) ? 'r' : ''}${mayCommit(sql) ? 'c' : ''}${leavesSessionState(sql) ? 's' : ''}`;
}

describe('the words of a statement', () => {
  it.each(CASES)('%j: %s', (sql, expected) => {
    expect(says(sql)).toBe(expected);
  });

  it.each([
    ['BEGIN', 'begin'],
    ['/* a */ start  transaction with consistent snapshot;', 'begin'],
    ['COMMIT;', 'commit'],
    ['commit and chain', 'commit'],
    ['rollback', 'rollback'],
    ['ROLLBACK WORK', 'rollback'],
    ['ROLLBACK TO a', undefined],
    ['rollback work\nto savepoint a', undefined],
    ['START REPLICA', undefined],
    ['beginning', undefined],
    ['SELECT 1', undefined],
    ['', undefined],
  ])('%j: the transaction as a whole: %s', (sql, expected) => {
    expect(transactionStep(sql)).toBe(expected);
  });

  it('mean the same behind any blanks, parentheses and comments, in any case', () => {
    const noise = fc.constantFrom(' ', '\n', '\t', '(', '/* select */', '/**/', '/* ; */', '-- set @a\n', '# commit\n');
    const statements = fc.constantFrom('select 1', 'insert into t values (1)', 'commit', 'set @a = 1', 'drop table t');
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 12 }), statements, fc.boolean(), (before, statement, upper) => {
        const sql = before.join('') + (upper ? statement.toUpperCase() : statement);
        expect(onlyReads(sql)).toBe(onlyReads(statement) && !before.includes('/* ; */'));
        if (!before.includes('/* ; */')) expect(mayCommit(sql)).toBe(mayCommit(statement));
        expect(leavesSessionState(sql)).toBe(leavesSessionState(statement));
      }),
      { numRuns: 500 },
    );
  });

  it('never say that a text with a write in it only reads', () => {
    const parts = fc.constantFrom('select 1', ';', ' ', '/*!', '*/', 'delete from t', '/* x */', ' for update', '(');
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 8 }), pieces => {
        const sql = pieces.join('');
        const alone = sql.replaceAll('/* x */', ' ').trim();
        const writes = /;[\s(]*\S|for update|\/\*!|^[\s(]*delete/.test(alone);
        if (writes) expect(onlyReads(sql)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  const HUGE = 1_000_000;
  const HOSTILE: readonly [name: string, sql: string][] = [
    ['comments', `${'/**/'.repeat(HUGE / 4)}x`],
    ['comments that open and never close', '/*'.repeat(HUGE / 2)],
    ['line comments', `${'--\n'.repeat(HUGE / 3)}x`],
    ['parentheses', '('.repeat(HUGE)],
    ['blanks', `select${' '.repeat(HUGE)}`],
    ['a text', `insert into t values (':= ${'a'.repeat(10 * HUGE)}')`],
    ['a text of escapes', `insert into t values (':= ${'\\\\'.repeat(10 * HUGE)}')`],
    ['a text that never ends', `insert into t values (':= ${"\\'".repeat(10 * HUGE)}`],
    ['texts', `insert into t values (${"':=', ".repeat(HUGE)})`],
    ['variables', `select ${'@a'.repeat(HUGE / 2)}`],
    ['one long variable', `select @${'a'.repeat(HUGE)}`],
    ['a variable and blanks', `select @a${' '.repeat(HUGE)}`],
    ['into', `select ${'into '.repeat(HUGE / 5)}`],
    ['for', `select ${'for '.repeat(HUGE / 4)}`],
    ['lock in share', `select ${'lock in share '.repeat(HUGE / 14)}`],
    ['semicolons', `select 1${';'.repeat(HUGE)}`],
    ['semicolons and blanks', 'select 1; '.repeat(HUGE / 10)],
    ['unclosed comments behind semicolons', ';/*'.repeat(HUGE / 3)],
    ['line comments behind semicolons', ';--'.repeat(HUGE / 3)],
    ['a big insert', `insert into t values ('${"a''b;".repeat(HUGE / 5)}')`],
  ];

  it.each(HOSTILE)('take linear time: %s', (_name, sql) => {
    expect(cpuTime(() => says(sql))).toBeLessThan(5_000); // a quadratic one takes minutes
  });
});
