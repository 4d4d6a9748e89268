import { facadeFor, type RawQuery, type Request, type Verb } from './request.js';
import { NOWHERE, type Route } from './route.js';
import { CallbackStatement, EventStatement } from './statement.js';

type Method<T> = (self: T, verb: Verb, sql: unknown, values: unknown, callback: unknown) => unknown;

/** `query` and `execute`: put on the prototype so that they keep mysql2's many typings. */
export function defineVerbs<T extends object>(prototype: T, call: Method<T>): void {
  for (const verb of ['query', 'execute'] as const) {
    const value = function (this: T, sql: unknown, values?: unknown, callback?: unknown): unknown {
      return call(this, verb, sql, values, callback);
    };
    Object.defineProperty(prototype, verb, { value, writable: true, configurable: true });
  }
}

/** @param config mysql2's, for the Query that a call without a callback returns. */
export function statementFor(
  verb: Verb,
  request: Request,
  route: Route | null,
  config: object,
): CallbackStatement | EventStatement {
  const { sql, values, callback } = request;
  if (callback !== undefined) return new CallbackStatement(route ?? NOWHERE, verb, sql, values, callback);
  return new EventStatement(route ?? NOWHERE, verb, sql, values, facadeFor(verb, request, config));
}

/** What `query` and `execute` return. */
export function returnedBy(statement: CallbackStatement | EventStatement): RawQuery | CallbackStatement {
  return statement instanceof CallbackStatement ? statement : statement.facade;
}
