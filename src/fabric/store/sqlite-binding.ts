import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Row, SqlValue } from './sql-database.js';

/** SQLite as the node uses it, over the package libsql or Node's own `node:sqlite`. Nothing of either is loaded before a file is opened. */
export interface SqliteHandle {
  exec(sql: string): void;
  all(sql: string, values: readonly SqlValue[]): readonly Row[];
  /** Returns the number of changed rows. */
  run(sql: string, values: readonly SqlValue[]): number;
  close(): void;
}

interface Statement {
  run(...values: unknown[]): { readonly changes: number | bigint };
  all(...values: unknown[]): unknown[];
}

/** What both have. */
interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
}

interface Binding {
  open(file: string): Database;
  /** libsql takes a lone null for an object of named values, Node takes no list. */
  values(values: readonly SqlValue[]): unknown[];
}

/** @throws Error that says what to install. */
export async function openSqlite(file: string): Promise<SqliteHandle> {
  const { open, values: bound } = await libsql().catch(cause => nodeSqlite() ?? missing(cause));
  if (file !== ':memory:') makeFile(file);
  const database = open(file);
  const statements = new Map<string, Statement>();
  const prepared = (sql: string): Statement => {
    const known = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  return {
    exec: sql => void database.exec(sql),
    all: (sql, values) => prepared(sql).all(...bound(values)) as Row[],
    run: (sql, values) => Number(prepared(sql).run(...bound(values)).changes),
    close() {
      statements.clear();
      database.close();
    },
  };
}

/** The owner's alone, as then are those that SQLite puts beside it: it holds what is as good as the users' passwords. One that is there stays as it is. */
function makeFile(file: string): void {
  makeFolder(dirname(file));
  refusing(`The state store ${file} (storage.file) cannot be opened`, () => closeSync(openSync(file, 'a', 0o600)));
}

/** Node's own way to make the folders above too never ends where the system refuses one as if its parent were missing, as in /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  const above = dirname(folder);
  if (above !== folder) makeFolder(above);
  refusing(`The folder ${folder} of the state store (storage.file) cannot be made`, () => mkdirSync(folder));
}

function refusing(problem: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw new Error(`${problem} (${code}).`, { cause });
  }
}

async function libsql(): Promise<Binding> {
  const { default: Libsql } = await import('libsql');
  return { open: file => new Libsql(file), values: values => [values] };
}

/** From Node 22.13 on. */
function nodeSqlite(): Binding | undefined {
  const sqlite = process.getBuiltinModule('node:sqlite') as
    | { readonly DatabaseSync: new (file: string) => Database }
    | undefined;
  return sqlite && { open: file => new sqlite.DatabaseSync(file), values: values => [...values] };
}

function missing(cause: unknown): never {
  const needed = 'the package libsql (npm install libsql), or Node 22.13 or newer, which has SQLite built in';
  throw new Error(`The SQLite state store needs ${needed}. libsql: ${String(cause)}`, { cause });
}
