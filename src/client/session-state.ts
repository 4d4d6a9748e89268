import type mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import { cut, givenUp, type Physical } from './physical.js';
import type { Call } from './request.js';
import { type Setting, settingOf } from './session-words.js';
import { asksForInsertId, leavesSessionState, operationOf, severalStatements, transactionStep } from './sql-words.js';
import { type Done, isHeader, type Statement } from './statement.js';
import type { StatementError } from './verdict.js';

interface Step extends Setting {
  make(connection: mysql.Connection, done: Done): void;
}

/** Settings that are made again; one more counts as something that cannot be. */
const MOST = 100;
const PRIMITIVE = new Set(['string', 'number', 'bigint', 'boolean']);
const NEVER: Setting = { names: [], once: false };

/** What an application made of its session: settings that are made again on another server, and whether there is more than these. */
export class SessionState {
  #steps: Step[] = [];
  #user: mysql.ConnectionOptions | undefined;
  /** Where LAST_INSERT_ID() is what the application's last insert made it. */
  #insertedOn: Physical | undefined;
  /** There is something that no other server could have: a temporary table, a lock, a user variable, what was not understood. */
  hasMore = false;

  /** Nothing is to be made again. */
  get isDefault(): boolean {
    return this.#steps.length === 0;
  }

  /** @param rows undefined when it failed. */
  learn(statement: Statement, rows: unknown, physical: Physical): void {
    const { text } = statement;
    if (Number(headerOf(rows)?.insertId ?? 0) > 0) this.#insertedOn = physical;
    if (!leavesSessionState(text)) {
      this.#passOne(text, rows);
      if (saysItChanged(rows)) this.hasMore = true; // a procedure set it
      return;
    }
    const setting = settingOf(text);
    if (setting === undefined) this.hasMore = true;
    else if (rows !== undefined) this.#add(setting, statement.call);
  }

  /** Not the user of the options. */
  get hasUser(): boolean {
    return this.#user !== undefined;
  }

  /** The server that alone knows the LAST_INSERT_ID() which the statement asks for; undefined: that is the one of `physical`, or it asks for none. */
  misses(statement: Statement | undefined, physical: Physical | undefined): Server | undefined {
    const knows = this.#insertedOn;
    if (knows === undefined || statement === undefined || (knows === physical && knows.alive)) return undefined;
    return asksForInsertId(statement.text) ? knows.server : undefined;
  }

  /** The application knows that its session is gone. */
  told(): void {
    this.hasMore = false;
    this.#insertedOn = undefined;
  }

  clear(): void {
    this.#insertedOn = undefined;
    this.#steps = [];
    this.#user = undefined;
    this.hasMore = false;
  }

  changedUser(options: mysql.ConnectionOptions): void {
    // mysql2 takes what is not given from the user before.
    const given = Object.entries(options).filter(([, value]) => value);
    const user: mysql.ConnectionOptions = { ...this.#user, ...Object.fromEntries(given) };
    this.#user = user;
    this.#steps = [{ ...NEVER, make: (connection, done) => connection.changeUser({ ...user }, done) }];
    this.hasMore = false;
  }

  /** The server forgot all but the user and the schema. */
  wasReset(): void {
    this.#steps = this.#steps.filter(({ names: [name] }) => name === undefined || name === 'schema');
    this.told();
  }

  /**
   * Makes it again, in at most `bound` ms, or until the signal is aborted. The transaction state after it, if the server told.
   * @throws what failed.
   */
  async rebuild(physical: Physical, bound: number, signal: AbortSignal | undefined): Promise<boolean | undefined> {
    let open: boolean | undefined;
    if (this.#steps.length === 0) return open;
    const giveUp = (): void => cut(physical, givenUp('the session could not be made again in time'));
    const timer = setTimeout(giveUp, bound);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      for (const step of this.#steps) open = transactionAfter(await made(step, physical.connection)) ?? open;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    }
    return open;
  }

  /** A statement that sets nothing. What was set for the next transaction alone is used up with a BEGIN, else nobody knows. */
  #passOne(text: string, rows: unknown): void {
    if (text === '' || rows === undefined || !this.#steps.some(({ once }) => once)) return;
    this.#steps = this.#steps.filter(({ once }) => !once);
    if (transactionStep(text) !== 'begin') this.hasMore = true;
  }

  #add(setting: Setting, call: Call | undefined): void {
    if (call === undefined || !isConstant(call)) {
      this.hasMore = true;
      return;
    }
    const { verb, sql, values } = copyOf(call);
    const run = (connection: mysql.Connection, done: Done): void => {
      (connection[verb] as (sql: unknown, values: unknown, done: Done) => unknown)(sql, values, done);
    };
    const steps = this.#steps.filter(step => !supersedes(setting, step));
    if (steps.length >= MOST) this.hasMore = true;
    else this.#steps = [...steps, { ...setting, make: run }];
  }
}

function supersedes(later: Setting, { names, once }: Setting): boolean {
  return names.length > 0 && once === later.once && names.every(name => later.names.includes(name));
}

function made(step: Step, connection: mysql.Connection): Promise<unknown> {
  return new Promise((resolve, reject) => {
    step.make(connection, (error, rows) => (error ? reject(error) : resolve(rows)));
  });
}

/** Values that are objects may be written as anything, a function of SQL too. */
function isConstant({ sql, values }: Call): boolean {
  const given = values ?? (sql as { values?: unknown } | null)?.values ?? [];
  return Array.isArray(given) && given.every(value => value === null || PRIMITIVE.has(typeof value));
}

function copyOf({ verb, sql, values }: Call): Call {
  const list = (given: unknown): unknown => (Array.isArray(given) ? [...given] : given);
  if (typeof sql !== 'object' || sql === null) return { verb, sql, values: list(values) };
  return { verb, sql: { ...sql, values: list((sql as { values?: unknown }).values) }, values: list(values) };
}

/** Of several statements in one text, or in a procedure, some ran before the one that failed. */
export function ranInPart({ text }: Statement, error: StatementError | undefined): boolean {
  return error !== undefined && (severalStatements(text) || operationOf(text) === 'CALL');
}

/** The last one of several results; rows are not looked through. */
function headerOf(rows: unknown): Header | undefined {
  if (!Array.isArray(rows)) return isHeader(rows) ? rows : undefined;
  for (let at = rows.length - 1; at >= 0; at--) {
    const result = rows[at];
    if (isHeader(result)) return result;
    if (!Array.isArray(result)) return undefined;
  }
  return undefined;
}

interface Header {
  readonly insertId?: number | string;
  readonly serverStatus?: number;
  /** Of MySQL 5.7 and later. */
  readonly stateChanges?: { readonly schema: string | null; readonly systemVariables: object };
}

function saysItChanged(rows: unknown): boolean {
  const changes = headerOf(rows)?.stateChanges;
  return changes !== undefined && (changes.schema !== null || Object.keys(changes.systemVariables).length > 0);
}

/** SERVER_STATUS_IN_TRANS and SERVER_STATUS_AUTOCOMMIT of the protocol's OK packet. */
const IN_TRANSACTION = 1;
const AUTOCOMMIT = 2;

/** Whether a transaction is open after a statement, as the server said with its OK; undefined: it did not say (rows, an error). */
export function transactionAfter(rows: unknown): boolean | undefined {
  const serverStatus = headerOf(rows)?.serverStatus;
  return serverStatus === undefined
    ? undefined
    : (serverStatus & IN_TRANSACTION) !== 0 || (serverStatus & AUTOCOMMIT) === 0;
}
