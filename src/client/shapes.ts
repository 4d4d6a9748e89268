import { EventEmitter } from 'node:events';
import mysql from 'mysql2';
import type { Tells } from './events.js';
import type { Properties } from './properties.js';

/**
 * mysql2's own classes to inherit from without running their constructors, which would open a socket or start a pool: our objects are
 * `instanceof` mysql2's classes, and what those build on other methods (beginTransaction, escape, format, ...) is theirs, statics too.
 */

type Class = { prototype: object };

function shapeOf<T>(original: Class): new () => T {
  function Shape(this: object): void {
    EventEmitter.call(this as EventEmitter);
  }
  Shape.prototype = Object.create(original.prototype);
  return Object.setPrototypeOf(Shape, original);
}

/** As `shapeOf`; an emitter makes what it needs when the first listener comes, so that an object made for each statement costs no more. */
function lightShapeOf<T>(prototype: object): new () => T {
  function Shape(): void {}
  Shape.prototype = Object.create(prototype);
  return Shape as unknown as new () => T;
}

/**
 * A statement with properties of its own: `{ sql, mode: MODE_READONLY }`. `signal` calls it off: while it waits, it fails with the signal's
 * reason; while it runs, its connection is cut, and it fails as FABRIC_ABORTED, in doubt.
 */
export type RoutedStatement = mysql.QueryOptions & Pick<Properties, 'group' | 'mode'> & { signal?: AbortSignal };

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

/** mysql2's typings leave its classes of pools out. */
const { Connection, PoolConnection, Pool } = mysql as unknown as Record<
  'Connection' | 'PoolConnection' | 'Pool',
  Class
>;

export const ConnectionShape = shapeOf<Tells & mysql.Connection & Routed>(Connection);
export const PoolShape = shapeOf<Tells & mysql.Pool & Routed>(Pool);

/**
 * Makes a subclass of one of ours `instanceof` mysql2's PoolConnection: what it inherits from ours lies between its own members and mysql2's.
 * (A class has one base only, and a connection that is not of a pool must have no `release`.)
 */
export function asPoolConnection(subclass: Class): void {
  const inherited = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(subclass.prototype));
  Object.setPrototypeOf(subclass.prototype, Object.create(PoolConnection.prototype, inherited));
}

/** What mysql2's `end` of a pool's connection does: warns that it is going to change, and gives the connection back. */
export const deprecatedEnd = (PoolConnection.prototype as mysql.PoolConnection).end;

type Emitter = EventEmitter & { readonly _events: object | undefined };
const query: object = Object.getPrototypeOf((mysql as unknown as Factory).createQuery('', undefined, undefined, {}));
interface Factory {
  createQuery(sql: string, values: undefined, callback: undefined, config: object): object;
}

/** mysql2's Query, and the command that all of them are, none of which is ever sent. */
export const QueryShape = lightShapeOf<Emitter>(query);
export const SequenceShape = lightShapeOf<Emitter>(Object.getPrototypeOf(query));
