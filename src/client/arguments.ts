import mysql from 'mysql2';
import type { Verb } from './request.js';

interface Options {
  readonly values?: unknown;
  readonly namedPlaceholders?: boolean | undefined;
}

/** Throws at once what mysql2's connections throw at once, before there is a connection: its own error. */
export function checkArguments(config: mysql.ConnectionOptions, verb: Verb, sql: unknown, values: unknown): void {
  if (sql === undefined || sql === null) {
    if (verb === 'query' || sql === null) refuse(config, verb, sql, values);
  } else if (verb === 'execute' && (values !== undefined || typeof sql === 'object')) {
    const options: Options = typeof sql === 'object' ? sql : {};
    const given = options.values || (typeof values === 'function' ? undefined : values);
    if (given && !mayBind(given, options.namedPlaceholders ?? config.namedPlaceholders))
      refuse(config, verb, sql, values);
  }
}

/** Whether mysql2 takes them. (Values by name are not looked at: only mysql2 knows which of them the SQL names.) */
function mayBind(values: unknown, byName: boolean | undefined): boolean {
  if (!Array.isArray(values)) return byName === true;
  for (const value of values) if (value === undefined || typeof value === 'function') return false;
  return true;
}

/** mysql2's method up to where it throws, which is before it looks for a connection. */
function refuse(config: mysql.ConnectionOptions, verb: Verb, sql: unknown, values: unknown): void {
  const { prototype } = mysql.Connection;
  const connection = Object.create(prototype, { config: { value: config } });
  (prototype[verb] as (sql: unknown, values: unknown, callback: () => void) => void).call(
    connection,
    sql,
    values,
    () => {},
  );
}
