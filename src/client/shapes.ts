import { EventEmitter } from 'node:events';
import mysql from 'mysql2';
import type { Properties } from './options.js';

/**
 * mysql2's own classes to inherit from without running their constructors, which would open a socket or start a pool: our objects are
 * `instanceof` mysql2's classes, and what those build on other methods (beginTransaction, escape, format, ...) is theirs.
 */

function shapeOf<T>(prototype: T): new () => T {
  function Shape(this: object): void {
    EventEmitter.call(this as EventEmitter);
  }
  Shape.prototype = Object.create(prototype as object);
  return Shape as unknown as new () => T;
}

/** A statement with properties of its own: `{ sql, mode: MODE_READONLY }`. */
export type RoutedStatement = mysql.QueryOptions & Pick<Properties, 'group' | 'mode'>;

type Answer<T> = (error: mysql.QueryError | null, result: T, fields: mysql.FieldPacket[]) => unknown;

/** What `query` and `execute` take besides all that mysql2's take. */
interface Routed {
  query<T extends mysql.QueryResult>(statement: RoutedStatement, callback?: Answer<T>): mysql.Query;
  query<T extends mysql.QueryResult>(
    statement: RoutedStatement,
    values: mysql.QueryValues,
    callback?: Answer<T>,
  ): mysql.Query;
  execute<T extends mysql.QueryResult>(statement: RoutedStatement, callback?: Answer<T>): mysql.Query;
  execute<T extends mysql.QueryResult>(
    statement: RoutedStatement,
    values: mysql.ExecuteValues,
    callback?: Answer<T>,
  ): mysql.Query;
}

export const ConnectionShape = shapeOf(mysql.Connection.prototype as mysql.Connection & Routed);
export const PoolShape = shapeOf((mysql as unknown as { Pool: { prototype: mysql.Pool & Routed } }).Pool.prototype);
