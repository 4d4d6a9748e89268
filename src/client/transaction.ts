import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { MODE_READONLY } from '../wire/topology.js';
import { reasonOf } from './abort.js';
import { badInput, FabricError } from './errors.js';
import type { Link } from './link.js';
import { DEFAULT_TARGET, type Properties, parseProperties } from './properties.js';
import type { StatementError } from './verdict.js';

export type IsolationLevel = 'READ UNCOMMITTED' | 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE';

export interface TransactionOptions extends Pick<Properties, 'mode'> {
  /** Default: the session's. */
  isolationLevel?: IsolationLevel;
  /** How many times the closure may be run again. Default 5. */
  retries?: number;
  /** Ends waiting, and running again; a closure that runs is not interrupted, but rolled back when it ends. */
  signal?: AbortSignal;
}

/** A connection for one transaction. */
export interface Unit<C> {
  readonly connection: C;
  readonly link: Link;
  run(sql: string): Promise<unknown>;
  /** Waits for a connection to the server, until the signal is aborted. */
  connect(signal: AbortSignal): Promise<unknown>;
  /** What was given to the closure refuses statements from now on. */
  close(): void;
  release(): void;
}

type Closure<C, T> = (connection: C) => T | PromiseLike<T>;
type Settings = Required<Omit<TransactionOptions, 'mode' | 'isolationLevel' | 'signal'>> &
  Pick<TransactionOptions, 'mode' | 'isolationLevel' | 'signal'>;

const LEVELS: readonly unknown[] = ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'];
const KNOWN: readonly string[] = ['mode', 'isolationLevel', 'retries', 'signal'];
/** ms before the closure is run again: chance below a bound that doubles. */
const BACK_OFF = { first: 20, most: 1_000 };
/** ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT */
const CONFLICTS: readonly unknown[] = [1213, 1205];
const CAUSES = 5;

/** The sessions that a transaction of this asynchronous context runs in, as long as it does. */
const running = new AsyncLocalStorage<{ readonly owner: object; over: boolean; readonly outer: unknown }>();

/** @param take a connection for each try. `owner`: where nested use is an error. */
export async function transact<C, T>(
  owner: object,
  take: (settings: Settings) => Promise<Unit<C>>,
  fn: Closure<C, T>,
  options: TransactionOptions = {},
): Promise<T> {
  const settings = parse(fn, options);
  const { retries, signal } = settings;
  if (isRunning(owner)) throw nested();
  for (let tries = 0; ; tries += 1) {
    if (signal?.aborted) throw reasonOf(signal);
    const unit = await take(settings);
    const attempt = new Attempt(owner, unit, settings);
    try {
      return await attempt.run(fn);
    } catch (error) {
      if (!attempt.mayRepeat(error) || tries >= retries) throw error;
    } finally {
      await attempt.end();
    }
    const bound = Math.min(BACK_OFF.first * 2 ** tries, BACK_OFF.most);
    await sleep(Math.random() * bound, undefined, signal && { signal }).catch(() => {});
  }
}

class Attempt<C> {
  readonly #owner: object;
  readonly #unit: Unit<C>;
  readonly #settings: Settings;
  #stage: 'begin' | 'body' | 'commit' | 'done' = 'begin';
  #claimed = false;
  /** The link's count when it began. */
  #number = 0;

  constructor(owner: object, unit: Unit<C>, settings: Settings) {
    this.#owner = owner;
    this.#unit = unit;
    this.#settings = settings;
  }

  async run<T>(fn: Closure<C, T>): Promise<T> {
    const { link } = this.#unit;
    if (link.inTransaction || !link.claim()) throw nested();
    this.#claimed = true;
    link.forgetLostTransaction();
    await this.#begin();
    const result = await this.#body(fn);
    const gone = this.#isWhole && !link.inTransaction && !link.hasLostTransaction;
    if (gone || link.hasAbandonedTransaction) {
      throw new FabricError('FABRIC_CLOSED', "The closure ended the transaction's connection; it was rolled back");
    }
    this.#throwIfAborted();
    this.#stage = 'commit';
    await this.#unit.run('COMMIT').catch((error: StatementError) => {
      throw error.fabric?.outcome === 'in-doubt' ? inDoubt(error) : error;
    });
    this.#stage = 'done';
    return result;
  }

  /** Nothing of it happened, or can be undone, and another try may do better. */
  mayRepeat(error: unknown): boolean {
    if (this.#stage === 'begin') return outcomeOf(error) === 'in-doubt' || outcomeOf(error) === 'rolled-back';
    return this.#isWhole && isTransient(error);
  }

  /** Leaves no transaction behind. */
  async end(): Promise<void> {
    const { link } = this.#unit;
    if (this.#stage !== 'done' && this.#stage !== 'begin') {
      link.forgetLostTransaction();
      if (link.inTransaction) await this.#unit.run('ROLLBACK').catch(() => {}); // then its connection was lost
    }
    if (this.#claimed) link.unclaim();
    this.#unit.release();
  }

  #throwIfAborted(): void {
    const { signal } = this.#settings;
    if (signal?.aborted) throw reasonOf(signal);
  }

  async #begin(): Promise<void> {
    const { isolationLevel, mode, signal } = this.#settings;
    if (signal !== undefined) await this.#unit.connect(signal);
    const reads = mode !== undefined && parseProperties(DEFAULT_TARGET, { mode }).mode === MODE_READONLY;
    if (isolationLevel !== undefined) await this.#unit.run(`SET TRANSACTION ISOLATION LEVEL ${isolationLevel}`);
    await this.#unit.run(reads ? 'START TRANSACTION READ ONLY' : 'START TRANSACTION');
    this.#number = this.#unit.link.transactions;
    this.#stage = 'body';
    this.#throwIfAborted();
  }

  async #body<T>(fn: Closure<C, T>): Promise<T> {
    const context = { owner: this.#owner, over: false, outer: running.getStore() };
    try {
      return await running.run(context, async () => fn(this.#unit.connection));
    } finally {
      context.over = true;
      this.#unit.close();
    }
  }

  /** The closure neither ended the transaction nor began another. */
  get #isWhole(): boolean {
    return this.#unit.link.transactions === this.#number;
  }
}

function isRunning(owner: object): boolean {
  let context = running.getStore();
  while (context !== undefined) {
    if (context.owner === owner && !context.over) return true;
    context = context.outer as typeof context;
  }
  return false;
}

/** It, or what it was caused by, is of a transaction that was undone, or conflicted with another one. */
function isTransient(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; depth < CAUSES && cause instanceof Error; depth += 1) {
    const { code, errno } = cause as StatementError;
    if (CONFLICTS.includes(errno)) return true;
    const outcome = outcomeOf(cause);
    const undone = outcome === 'rolled-back' || outcome === 'not-executed';
    if (undone && code !== 'PROTOCOL_SEQUENCE_TIMEOUT' && !(cause instanceof FabricError)) return true;
    cause = cause.cause;
  }
  return false;
}

function outcomeOf(error: unknown): string | undefined {
  return (error as StatementError | undefined)?.fabric?.outcome;
}

function inDoubt(cause: StatementError): FabricError {
  const { host, port } = cause.fabric?.server ?? {};
  const reason = `COMMIT was sent to ${host}:${port} and no answer came: the transaction may or may not be committed, and is not run again`;
  return Object.assign(new FabricError('FABRIC_IN_DOUBT', reason, { cause }), { fabric: cause.fabric });
}

function nested(): FabricError {
  const reason = 'withTransaction in a transaction: the closure is to use the connection that it was given';
  return new FabricError('FABRIC_NESTED_TRANSACTION', reason);
}

function parse(fn: unknown, options: TransactionOptions): Settings {
  if (typeof fn !== 'function') throw badInput(TypeError, 'FABRIC_BAD_OPTION', 'fn', 'expected a function');
  if (options === null || typeof options !== 'object') {
    throw badInput(TypeError, 'FABRIC_BAD_OPTION', 'options', 'expected an object such as { retries }');
  }
  const unknown = Object.keys(options).find(name => !KNOWN.includes(name));
  if (unknown !== undefined) {
    throw badInput(TypeError, 'FABRIC_BAD_OPTION', unknown, `unknown option; known are ${KNOWN.join(', ')}`);
  }
  const { mode, isolationLevel, retries = 5, signal } = options;
  parseProperties(DEFAULT_TARGET, { mode } as Properties, 'FABRIC_BAD_OPTION');
  if (isolationLevel !== undefined && !LEVELS.includes(isolationLevel)) {
    throw badInput(RangeError, 'FABRIC_BAD_OPTION', 'isolationLevel', `expected one of ${LEVELS.join(', ')}`);
  }
  if (!Number.isInteger(retries) || retries < 0 || retries > 1_000) {
    throw badInput(RangeError, 'FABRIC_BAD_OPTION', 'retries', 'expected an integer from 0 to 1000');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badInput(TypeError, 'FABRIC_BAD_OPTION', 'signal', 'expected an AbortSignal');
  }
  return { retries, ...(mode && { mode }), ...(isolationLevel && { isolationLevel }), ...(signal && { signal }) };
}
