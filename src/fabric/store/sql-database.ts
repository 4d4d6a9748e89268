/** What a state store needs of a database; `sqlite.ts` and `mysql.ts` have it. */

/** Where SQLite and MySQL differ. */
export interface Dialect {
  /** A key that grows by itself. */
  readonly serial: string;
  /** What follows a table's columns. */
  readonly table: string;
  /** What makes a SELECT wait for other writers and them for it. */
  readonly forUpdate: string;
}

export type SqlValue = string | number | null;

/** One row by column name. */
export type Row = Readonly<Record<string, unknown>>;

export interface SqlSession {
  query(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** Resolves to the number of rows that were added, removed, or found by an UPDATE. */
  execute(sql: string, values?: readonly SqlValue[]): Promise<number>;
}

export interface SqlDatabase {
  readonly dialect: Dialect;
  open(): Promise<void>;
  /** Ends also what is under way, which fails then. */
  close(): Promise<void>;
  /** As the store's. */
  claim(lost: (error: Error) => void): Promise<void>;
  /** `work` outside of a transaction. One call at a time, of this and the others. */
  look<T>(work: Work<T>): Promise<T>;
  /** `work` on a picture of the database that does not change. It may be done again, when the connection is lost. */
  read<T>(work: Work<T>): Promise<T>;
  /**
   * `work` as one transaction: all of it, and on disk, when this resolves, or nothing. It may be done again, when the connection is lost.
   * @param relaxed what it writes may be lost when the machine, not the program, fails.
   */
  write<T>(work: Work<T>, relaxed?: boolean): Promise<T>;
  /** `work` on the schema, while nobody else does such a thing. */
  alter(work: Work<void>): Promise<void>;
  /** uuid of the MySQL server that it is on. */
  readonly home?: Work<string>;
  /** The committed revision, where that is known without waiting. */
  revision?(): number;
}

export type Work<T> = (session: SqlSession) => Promise<T>;
