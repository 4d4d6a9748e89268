import type mysql from 'mysql2';
import {
  type Call,
  type Callback,
  call,
  called,
  connection,
  noReturn,
  pool,
  promised,
  promisedPool,
  settled,
} from './call.js';

/** Statements, and how they are asked for. */
const STATEMENTS: readonly [name: string, sql: unknown, values?: unknown, options?: mysql.ConnectionOptions][] = [
  ['rows', 'SELECT ? AS a, ? AS b', [1, 'x']],
  ['no rows', 'SELECT * FROM app.calls WHERE id < 0', []],
  ['a header', 'INSERT INTO app.calls (id, text) VALUES (?, ?) ON DUPLICATE KEY UPDATE text = text', [1, 'a']],
  ['wrong SQL', 'SELEKT', []],
  ['an unknown table', 'SELECT * FROM app.nowhere', []],
  ['a duplicate key', 'INSERT INTO app.calls (id) VALUES (2), (2)', []],
  ['options', { sql: 'SELECT ? AS a', values: [1], rowsAsArray: true }],
  ['options and values', { sql: 'SELECT ? AS a' }, [2]],
  ['nestTables', { sql: 'SELECT 1 AS a, c.id FROM app.calls c LIMIT 1', nestTables: true }],
  ['nestTables with a separator', { sql: 'SELECT c.id, d.id FROM app.calls c, app.calls d LIMIT 1', nestTables: '_' }],
  ['typeCast', { sql: 'SELECT 1 AS a', typeCast: (field: { string(): string | null }) => `<${field.string()}>` }],
  ['no typeCast', { sql: 'SELECT 1 AS a', typeCast: false }],
  ['named placeholders', 'SELECT :a AS a, :b AS b', { a: 1, b: 'x' }, { namedPlaceholders: true }],
  ['named placeholders in options', { sql: 'SELECT :a AS a', namedPlaceholders: true }, { a: 1 }],
  ['rowsAsArray', 'SELECT 1, 2', [], { rowsAsArray: true }],
  ['dates', "SELECT TIMESTAMP('2026-01-02 03:04:05') AS t, DATE('2026-01-02') AS d", []],
  ['dateStrings', "SELECT TIMESTAMP('2026-01-02 03:04:05') AS t", [], { dateStrings: true }],
  ['dateStrings of some', "SELECT TIMESTAMP('2026-01-02 03:04:05') AS t", [], { dateStrings: ['DATE'] }],
  ['a timezone', "SELECT TIMESTAMP('2026-01-02 03:04:05') AS t, ? AS u", [new Date(0)], { timezone: '+05:00' }],
  ['big numbers', 'SELECT 9007199254740993 AS n, 1 AS m', []],
  ['supportBigNumbers', 'SELECT 9007199254740993 AS n, 1 AS m', [], { supportBigNumbers: true }],
  ['bigNumberStrings', 'SELECT 1 AS m', [], { supportBigNumbers: true, bigNumberStrings: true }],
  ['decimals', 'SELECT 1.5 AS d', []],
  ['decimalNumbers', 'SELECT 1.5 AS d', [], { decimalNumbers: true }],
  ['a charset', "SELECT 'ä€𝄞' AS text", [], { charset: 'utf8mb4' }],
  ['compress', "SELECT REPEAT('x', 5000) AS text", [], { compress: true }],
  ['a database of its own', 'SELECT DATABASE() AS d', [], { database: 'information_schema' }],
  ['no eval', 'SELECT 1 AS a', [], { disableEval: true }],
  ['a buffer', 'SELECT ? AS b', [Buffer.from('abc')]],
  [
    'ssl',
    "SELECT VARIABLE_VALUE <> '' AS tls FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'",
    [],
    { ssl: { rejectUnauthorized: false } },
  ],
  ['null', 'SELECT ? AS n', [null]],
  ['undefined', 'SELECT ? AS n', [undefined]],
  ['a function', 'SELECT ? AS n', [() => {}]],
  ['no array', 'SELECT ? AS n', { a: 1 }],
  ['too few values', 'SELECT ? AS a, ? AS b', [1]],
];

/** Every statement, in every way of asking. */
export const statementCalls = STATEMENTS.flatMap(([name, sql, values, options]): Call[] =>
  (['query', 'execute'] as const).flatMap(verb => {
    const ask = (it: object, callback?: Callback): never =>
      (it as Record<typeof verb, (...args: unknown[]) => never>)[verb](
        typeof sql === 'object' ? { ...sql } : sql,
        ...(values === undefined ? [] : [values]),
        ...(callback ? [callback] : []),
      );
    return [
      call(
        `connection.${verb}, callback: ${name}`,
        `Connection.${verb}`,
        connection((it, log) => called(log, callback => ask(it, callback)), options),
      ),
      call(
        `pool.${verb}, callback: ${name}`,
        `Pool.${verb}`,
        pool((it, log) => called(verb === 'query' ? log : noReturn(log), callback => ask(it, callback)), options),
      ),
      call(
        `connection.${verb}, promise: ${name}`,
        `PromiseConnection.${verb}`,
        promised((it, log) => settled(log, () => ask(it)), options),
      ),
      call(
        `pool.${verb}, promise: ${name}`,
        `PromisePool.${verb}`,
        promisedPool((it, log) => settled(log, () => ask(it)), options),
      ),
    ];
  }),
);
