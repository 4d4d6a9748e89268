import type mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import { signalOf } from './abort.js';
import { connectionLost, type Physical, type RawConnection } from './physical.js';
import { type Call, type Callback, PROMISED, type RawQuery, type Verb } from './request.js';
import type { Route } from './route.js';
import { QueryShape, SequenceShape } from './shapes.js';
import type { StatementError } from './verdict.js';
import type { Patience } from './waiting-line.js';

/** What the session runs: something that can be sent on a connection, again if need be, and be told how it ended. */

export type Done = (error: StatementError | null, rows?: unknown, fields?: unknown) => void;

/** How long something may take to begin. */
export interface Hold extends Patience {
  /** `performance.now()` until which it may be held and tried again; 0: not begun to count. */
  deadline: number;
}

export interface Statement extends Hold {
  /** The SQL as it was given, for telling what a lost answer means; '' where there is none. */
  readonly text: string;
  readonly route: Route;
  /** What it was called with; undefined: it is none of `query` and `execute`. */
  readonly call: Call | undefined;
  retries: number;
  /** See `Circumstances`. */
  refusedWritable: boolean;
  /** Rows of it reached the application: it cannot be run again. */
  readonly handedOut: boolean;
  /** Called just before the application hears how it ended. */
  onSettled: () => void;
  /** Who follows it, when telemetry is on. */
  trace?: Trace | undefined;
  /** May throw what mysql2 throws for bad arguments; then `done` is not called. */
  send(connection: mysql.Connection, done: Done): void;
  succeed(rows: unknown, fields: unknown): void;
  fail(error: StatementError): void;
}

/** Hears what becomes of a statement. */
export interface Trace {
  /** It is sent to this server; again, when it is tried again. */
  sent(server: Server): void;
  /** @param error undefined: it succeeded. */
  end(retries: number, error: StatementError | undefined): void;
}

/** Who lends connections to a statement: the shared pools, or one logical connection with its session. */
export interface Lender {
  /** At once, or undefined. */
  take(route: Route): Physical | undefined;
  obtain(route: Route, hold: Hold): Promise<Physical>;
  /** The statement ended (well, or with an ordinary error); the connection is as good as before. */
  done(physical: Physical, statement: Statement, rows: unknown, error?: StatementError | undefined): void;
  /** The connection is of no more use. */
  lose(physical: Physical): void;
  readonly inTransaction: boolean;
  /** Whether another connection would do as well: nothing hangs on this one's session. */
  readonly mayRetry: boolean;
}

export function textOf(sql: unknown): string {
  if (typeof sql === 'string') return sql;
  const text = (sql as { sql?: unknown } | null)?.sql;
  return typeof text === 'string' ? text : '';
}

function nothing(): void {}

/** The result of a statement without rows; it tells whether a transaction is open now. */
export function isHeader(result: unknown): result is { readonly serverStatus?: number } {
  return (result as object | undefined)?.constructor?.name === 'ResultSetHeader';
}

/** With a callback, which gets all rows at once. It is also the Query that `query` and `execute` return. */
export class CallbackStatement extends QueryShape implements Statement {
  deadline = 0;
  waitUntil = 0;
  readonly signal: AbortSignal | undefined;
  retries = 0;
  refusedWritable = false;
  onSettled: () => void = nothing;
  trace: Trace | undefined;
  readonly route: Route;
  readonly #verb: Verb;
  readonly #sql: unknown;
  readonly #values: unknown;
  readonly #callback: Callback;
  #sent: RawQuery | undefined;

  constructor(route: Route, verb: Verb, sql: unknown, values: unknown, callback: Callback) {
    super();
    this.route = route;
    this.#verb = verb;
    this.#sql = sql;
    this.#values = values;
    this.#callback = callback;
    this.signal = signalOf(sql);
  }

  get text(): string {
    return textOf(this.#sql);
  }

  get call(): Call {
    return { verb: this.#verb, sql: this.#sql, values: this.values };
  }

  /** With the values in it, once it was sent; as mysql2's is. */
  get sql(): string {
    return this.#sent?.sql ?? this.text;
  }

  get values(): unknown {
    return this.#values ?? (this.#sql as { values?: unknown } | null)?.values;
  }

  get handedOut(): boolean {
    return false;
  }

  static {
    const { then } = CallbackStatement.prototype as { then?: unknown };
    const get = function (this: CallbackStatement): unknown {
      return this.#verb === 'query' ? then : undefined;
    };
    for (const name of PROMISED) Object.defineProperty(CallbackStatement.prototype, name, { get });
  }

  send(connection: mysql.Connection, done: Done): void {
    const send = connection[this.#verb] as unknown as (sql: unknown, values: unknown, done: Done) => RawQuery;
    this.#sent = send.call(connection, this.#sql, this.#values, done);
  }

  /** mysql2's Query emits `end` before its callback hears of rows, and after it hears of an error. */
  succeed(rows: unknown, fields: unknown): void {
    this.onSettled();
    this.trace?.end(this.retries, undefined);
    if (this._events !== undefined) this.emit('end');
    this.#callback(null, rows, fields);
  }

  fail(error: StatementError): void {
    this.onSettled();
    this.trace?.end(this.retries, error);
    this.#callback(error);
    if (this._events !== undefined) this.emit('end');
  }
}

/** mysql2 tells a timed-out query's callback a second time when the connection is closed under it. */
function once(done: Done): Done {
  let called = false;
  return (error, rows, fields) => {
    if (called) return;
    called = true;
    done(error, rows, fields);
  };
}

/**
 * Without a callback: rows are events (`fields`, `result`, `end`, `error`) on `facade`, a mysql2 Query that itself is never sent, so that
 * the application holds it before there is a connection, and `facade.stream()` works.
 */
export class EventStatement implements Statement {
  deadline = 0;
  waitUntil = 0;
  readonly signal: AbortSignal | undefined;
  retries = 0;
  refusedWritable = false;
  handedOut = false;
  onSettled: () => void = nothing;
  trace: Trace | undefined;
  readonly route: Route;
  readonly facade: RawQuery;
  readonly call: Call;

  constructor(route: Route, verb: Verb, sql: unknown, values: unknown, facade: RawQuery) {
    this.route = route;
    this.facade = facade;
    this.call = { verb, sql, values };
    this.signal = signalOf(sql);
  }

  get text(): string {
    return textOf(this.call.sql);
  }

  send(connection: mysql.Connection, done: Done): void {
    const facade = this.facade;
    const { verb, sql, values } = this.call;
    const send = connection[verb] as unknown as (sql: unknown, values: unknown) => RawQuery;
    let failure: StatementError | null = null;
    let header: unknown;
    const end = once(error => {
      connection.removeListener('error', lost);
      connection.removeListener('end', lost);
      facade._connection = undefined; // it may serve others now
      done(error, header);
    });
    // mysql2 tells only the connection of a loss when the command has no callback.
    const lost = (error?: StatementError): void => end(error ?? connectionLost('the server closed the connection'));
    connection.on('error', lost); // first: a closed connection tells it at once
    connection.on('end', lost);
    facade._connection = connection as RawConnection; // facade.stream() pauses and resumes it
    const command = this.#begin(() => send.call(connection, sql, values), connection, lost);
    if (command === undefined) return;
    facade.sql = command.sql ?? facade.sql; // with the values in it
    command.on('fields', (...args) => {
      this.handedOut = true;
      facade.emit('fields', ...args);
    });
    command.on('result', (...args) => {
      this.handedOut = true;
      if (isHeader(args[0])) header = args[0];
      facade.emit('result', ...args);
    });
    command.on('error', (error: StatementError) => {
      failure = error;
      if (error.code === 'PROTOCOL_SEQUENCE_TIMEOUT') end(error); // mysql2 goes on to wait for the answer
    });
    command.on('end', () => end(failure));
  }

  /** What mysql2 throws for bad arguments leaves no listener behind. */
  #begin(send: () => RawQuery | undefined, connection: mysql.Connection, lost: () => void): RawQuery | undefined {
    try {
      return send();
    } catch (error) {
      connection.removeListener('error', lost);
      connection.removeListener('end', lost);
      throw error;
    }
  }

  succeed(): void {
    this.onSettled();
    this.trace?.end(this.retries, undefined);
    this.facade.emit('end');
  }

  /** mysql2 throws an error that nobody listens for; here it would be thrown at the event loop and end the process. */
  fail(error: StatementError): void {
    this.onSettled();
    this.trace?.end(this.retries, error);
    if (this.facade.listenerCount('error') > 0) this.facade.emit('error', error);
    this.facade.emit('end');
  }
}

/** Any other thing to do on a connection: ping, changeUser, prepare, ... It is also the command that those return. */
export class TaskStatement extends SequenceShape implements Statement {
  deadline = 0;
  waitUntil = 0;
  readonly signal: AbortSignal | undefined;
  retries = 0;
  refusedWritable = false;
  onSettled: () => void = nothing;
  readonly handedOut = false;
  readonly call = undefined;
  readonly route: Route;
  readonly text: string;
  readonly #task: (connection: mysql.Connection, done: Done) => void;
  readonly #callback: Callback | undefined;

  constructor(
    route: Route,
    text: string,
    task: (connection: mysql.Connection, done: Done) => void,
    callback: unknown,
    signal?: AbortSignal,
  ) {
    super();
    this.signal = signal;
    this.route = route;
    this.text = text;
    this.#task = task;
    this.#callback = typeof callback === 'function' ? (callback as Callback) : undefined;
  }

  send(connection: mysql.Connection, done: Done): void {
    this.#task(connection, once(done));
  }

  succeed(rows: unknown, fields: unknown): void {
    this.onSettled();
    this.#callback?.(null, rows, fields);
    this.emit('end');
  }

  fail(error: StatementError): void {
    this.onSettled();
    if (this.#callback !== undefined) this.#callback(error);
    else if (this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('end');
  }
}
