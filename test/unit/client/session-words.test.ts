import { describe, expect, it } from 'vitest';
import { settingOf } from '../../../src/client/session-words.js';

const OF_NAMES = ['character_set_client', 'character_set_connection', 'character_set_results', 'collation_connection'];

describe('what is set again on another server', () => {
  it.each([
    ['USE shop', ['schema']],
    ['use `my shop` ;', ['schema']],
    ["SET time_zone = '+00:00'", ['time_zone']],
    ['/* why */ set\n time_zone="SYSTEM";', ['time_zone']],
    ['SET time_zone = ?', ['time_zone']],
    ['SET SESSION sql_mode := ANSI_QUOTES', ['sql_mode']],
    ['SET LOCAL max_join_size = 1e3', ['max_join_size']],
    ['SET @@session.lock_wait_timeout = 5, @@sql_mode = DEFAULT', ['lock_wait_timeout', 'sql_mode']],
    ['SET AUTOCOMMIT=0', ['autocommit']],
    ['SET NAMES utf8mb4', OF_NAMES],
    ["SET NAMES 'latin1' COLLATE 'latin1_german1_ci'", OF_NAMES],
    ["SET tx_isolation = 'SERIALIZABLE'", ['transaction_isolation']],
    ["SET @@session.transaction_isolation = 'SERIALIZABLE'", ['transaction_isolation']],
    ['SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', ['transaction_isolation']],
    ['set local transaction read only', ['transaction_read_only']],
    [
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE',
      ['transaction_isolation', 'transaction_read_only'],
    ],
  ])('%s', (sql, names) => {
    expect(settingOf(sql)).toEqual({ names, once: false });
  });

  it('is told from what is set for the next transaction alone', () => {
    const once = { names: ['transaction_isolation'], once: true };
    expect(settingOf('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')).toEqual(once);
  });

  it.each([
    // more than a constant
    'SET @a = 1',
    'SET time_zone = "+00:00", @a = 1',
    'SET sql_mode = CONCAT(@@sql_mode, ",ANSI")',
    'SET max_join_size = 1 + 1',
    'SET max_join_size = (SELECT 1)',
    'SET timestamp = UNIX_TIMESTAMP()',
    'SET timestamp = CURRENT_TIMESTAMP',
    "SET sql_mode = 'a\\', x = 'b'",
    'SET time_zone = :zone',
    // of another kind
    "SET PASSWORD = 'secret'",
    'SET ROLE admin',
    'SET GLOBAL max_connections = 5',
    'SET @@global.max_connections = 5',
    'SET SESSION sql_mode = DEFAULT, GLOBAL max_connections = 5',
    'SET PERSIST max_connections = 5',
    'SET gtid_next = "AUTOMATIC"',
    'SET insert_id = 5',
    'SET CHARACTER SET utf8',
    "SET @@transaction_isolation = 'SERIALIZABLE'",
    'SET TRANSACTION',
    'SET TRANSACTION ISOLATION LEVEL NONE',
    // more than one, or not to be told
    'SET time_zone = "+00:00"; SELECT 1',
    'USE shop; SELECT 1',
    '/*!40101 SET NAMES utf8 */',
    'SET NAMES utf8 -- why',
    'SET',
    'USE',
    'SELECT 1',
    'CREATE TEMPORARY TABLE t (a INT)',
    '',
    `SET sql_mode = '${'a'.repeat(5_000)}'`,
  ])('is not known from %s', sql => {
    expect(settingOf(sql)).toBeUndefined();
  });
});
