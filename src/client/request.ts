import { EventEmitter } from 'node:events';
import mysql from 'mysql2';
import type { StatementError } from './verdict.js';

/** What `query` and `execute` were called with, in any of mysql2's ways. */

export type Verb = 'query' | 'execute';
export type Callback = (error: StatementError | null, rows?: unknown, fields?: unknown) => void;

/** `query` or `execute`, with what it was given. */
export interface Call {
  readonly verb: Verb;
  readonly sql: unknown;
  readonly values: unknown;
}

/** mysql2's Query as it is at run time. */
export interface RawQuery extends EventEmitter {
  sql: string;
  onResult: Callback | undefined;
  _connection?: unknown;
}

/** What `query` and `execute` were called with, in any of mysql2's ways. */
export interface Request {
  readonly sql: unknown;
  readonly values: unknown;
  readonly callback: Callback | undefined;
  /** A Query that the application made with `createQuery`; its events are the statement's. */
  readonly query: RawQuery | undefined;
}

export function readRequest(sql: unknown, values: unknown, callback: unknown): Request {
  if (sql instanceof EventEmitter) {
    const query = sql as RawQuery & { values: unknown; _queryOptions?: object };
    const options = { ...query._queryOptions, sql: query.sql, values: query.values };
    return { sql: options, values: undefined, callback: query.onResult, query };
  }
  if (typeof values === 'function') return { sql, values: undefined, callback: values as Callback, query: undefined };
  return { sql, values, callback: callback as Callback | undefined, query: undefined };
}

/** What mysql2's `query` returns has these, to tell of the mistake; what its `execute` returns may be awaited, to no effect. */
export const PROMISED = ['then', 'catch'] as const;

/** A Query that is never sent. mysql2's typings leave the configuration out. */
export function facadeFor(verb: Verb, request: Request, config: object): RawQuery {
  if (request.query !== undefined) return request.query;
  const create = mysql.Connection.createQuery as unknown as (
    sql: unknown,
    values: unknown,
    callback: undefined,
    config: object,
  ) => RawQuery;
  const facade = create(request.sql, request.values, undefined, config);
  if (verb === 'execute') for (const name of PROMISED) Object.defineProperty(facade, name, { value: undefined });
  return facade;
}
