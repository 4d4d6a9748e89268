import mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import type { StatementError } from './verdict.js';

/** One real connection to one MySQL server: mysql2's own, with what the pools and the session must know of it. */
export interface Physical {
  /** As the topology has it now. */
  readonly server: Server;
  /** Where it goes when it is not needed any more. */
  readonly home: Home;
  readonly connection: mysql.Connection;
  /** false once it was lost or closed: nothing may be sent on it any more. */
  alive: boolean;
  /** `performance.now()` of its last use, as far as the pool looked. */
  idleSince: number;
  /** The clock's tick of its last use. */
  idleTick: number;
  /** The clock's tick in which it was lent. */
  lentAt: number;
  /** The clock's last tick in which it may be lent. */
  lastTick: number;
}

/** Takes lent connections back: to be lent again, or to be closed for good. */
export interface Home {
  readonly server: Server;
  /** It was not used for so long that it must be validated first. */
  isStale(physical: Physical): boolean;
  giveBack(physical: Physical): void;
  discard(physical: Physical): void;
}

/** mysql2's connection as it is at run time; its typings leave these out. */
export interface RawConnection extends mysql.Connection {
  readonly stream: { destroy(error?: Error): void; ref?(): void; unref?(): void };
  /** Ends it; `end` of a pool's connection does not. */
  _realEnd(callback: () => void): void;
  readonly _handshakePacket?: unknown;
  /** What is being run. */
  readonly _command?: { onResult?: (error: Error) => void } | null;
}

/**
 * Connects and authenticates.
 * @param signal gives up connecting.
 * @param onLost hears once that an established connection is gone, for whatever reason but `close`.
 * @throws mysql2's error; bounded by mysql2's `connectTimeout`.
 */
export function connectTo(
  home: Home,
  config: mysql.ConnectionConfig,
  signal: AbortSignal,
  onLost: (lost: Physical) => void,
): Promise<Physical> {
  // The one that `pool.on('connection')` hears of, so one of a pool, of none of mysql2's.
  const connection = new (mysql.PoolConnection as unknown as new (pool: null, options: object) => RawConnection)(null, {
    config: configFor(home.server, config),
  });
  const giveUp = (): void => connection.stream.destroy(givenUp('the server left the group'));
  signal.addEventListener('abort', giveUp, { once: true });
  return new Promise((resolve, reject) => {
    const unused = { alive: true, idleSince: 0, idleTick: 0, lentAt: 0, lastTick: Number.POSITIVE_INFINITY };
    const physical: Physical = {
      get server() {
        return home.server;
      },
      home,
      connection,
      ...unused,
    };
    let established = false;
    const lose = (): void => {
      if (!physical.alive) return;
      physical.alive = false;
      if (established) onLost(physical);
    };
    connection.on('error', error => {
      lose();
      reject(error);
      dropped(connection, error);
    });
    connection.on('end', lose);
    connection.connect(error => {
      signal.removeEventListener('abort', giveUp);
      if (error) return reject(error);
      established = true;
      resolve(physical);
    });
  });
}

/** On a packet out of its place mysql2 drops the command without a word to its callback, and leaves the connection open. */
function dropped(connection: RawConnection, error: StatementError): void {
  if (error.code !== 'PROTOCOL_ERROR') return;
  connection._command?.onResult?.(error);
  connection.stream.destroy(error); // ends what else was given to it
}

/** mysql2 changes a connection's configuration in place (changeUser), so each gets its own copy, as in mysql2's pool. */
function configFor(server: Server, config: mysql.ConnectionConfig): mysql.ConnectionConfig {
  const copy = Object.create(Object.getPrototypeOf(config), Object.getOwnPropertyDescriptors(config));
  return Object.assign(copy, { host: server.host, port: server.port });
}

/** ms that a server has to answer COM_QUIT by closing; then the socket is closed here. */
const QUIT_TIMEOUT = 1_000;

/** Ends it in an orderly way: COM_QUIT, without keeping the process waiting for the server. */
export function close(physical: Physical): void {
  const connection = physical.connection as RawConnection;
  const { stream } = connection;
  if (!physical.alive) {
    stream.destroy();
    return;
  }
  physical.alive = false;
  connection._realEnd(() => {});
  stream.unref?.();
  setTimeout(() => stream.destroy(), QUIT_TIMEOUT).unref();
}

/** In mysql2's words, so that applications which know its codes know this one. */
export function connectionLost(why: string): StatementError {
  const error: StatementError = new Error(`Connection lost: ${why}.`);
  return Object.assign(error, { code: 'PROTOCOL_CONNECTION_LOST', fatal: true });
}

/** As `connectionLost`, for a connection that this client itself gives up: no word about the server. */
export function givenUp(why: string): StatementError {
  return Object.defineProperty(connectionLost(why), 'ours', { value: true });
}

/** Cuts it now. Whatever is under way on it fails with `error`. */
export function cut(physical: Physical, error: StatementError): void {
  physical.alive = false;
  (physical.connection as RawConnection).stream.destroy(error);
}

/** Proves that it still works: one round trip. false: it is dead, or did not answer within `timeout` ms. */
export function ping(physical: Physical, timeout: number): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(false), timeout);
    physical.connection.ping(error => {
      clearTimeout(timer);
      resolve(!error);
    });
  });
}
