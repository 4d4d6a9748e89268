import { EventEmitter } from 'node:events';
import mysql from 'mysql2';

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

export const ConnectionShape = shapeOf(mysql.Connection.prototype as mysql.Connection);
export const PoolShape = shapeOf((mysql as unknown as { Pool: { prototype: mysql.Pool } }).Pool.prototype);
