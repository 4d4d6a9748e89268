import { reasonOf } from './abort.js';

/**
 * Callers that wait for something to come free, first come, first served. One timer, which runs while somebody waits, is enough for
 * everybody. Whoever comes from another line has waited already: that counts.
 */

/** How long somebody waits, and who may call it off. */
export interface Patience {
  /** `performance.now()` until which it waits; 0: it has not begun to wait. The first line sets it, once for all lines. */
  waitUntil: number;
  /** Ends the wait when it is aborted. */
  readonly signal: AbortSignal | undefined;
}

/** What `getConnection` takes besides what mysql2's takes. */
export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Exactly one of the two is called, once. */
export interface Waiter<T> extends Patience {
  resolve(value: T): void;
  /** @param reason an error of the line's, or what the signal was aborted with. */
  reject(reason: unknown): void;
}

/** ms; of a long line to within `TICK`. */
export interface Waits {
  readonly count: number;
  readonly mean: number;
  readonly max: number;
  readonly last: number;
}

/** ms between two looks at who has waited for too long. */
const TICK = 5;
/** A longer line moves fast: that each caller looks at the clock would cost more than all else of its wait. */
const LONG = 16;
/** Served callers are dropped this many at a time, so that leaving the line costs the same however long it is. */
const COMPACT_AT = 1_000;

export class WaitingLine<T> {
  readonly #patience: number;
  readonly #onTimeout: () => Error;
  #line: (Waiter<T> | undefined)[] = [];
  /** Those before this index have been served. */
  #head = 0;
  #timer: NodeJS.Timeout | undefined;
  #looked = 0;
  readonly #waits = { count: 0, total: 0, max: 0, last: 0 };
  /** What stops listening to the signal of those who have one. */
  readonly #deaf = new Map<Waiter<T>, () => void>();

  /**
   * @param patience ms that each waits at most.
   * @param onTimeout makes the error that ends the wait then.
   */
  constructor(patience: number, onTimeout: () => Error) {
    this.#patience = patience;
    this.#onTimeout = onTimeout;
  }

  get length(): number {
    return this.#line.length - this.#head;
  }

  /** The waits that have ended, however they did. */
  get waits(): Waits {
    const { count, total, max, last } = this.#waits;
    return { count, mean: count === 0 ? 0 : total / count, max, last };
  }

  join(waiter: Waiter<T>): void {
    if (waiter.waitUntil === 0) waiter.waitUntil = this.#now() + this.#patience;
    if (waiter.signal !== undefined) this.#heed(waiter, waiter.signal);
    this.#insert(waiter);
    this.#timer ??= setInterval(() => this.#tick(), TICK);
  }

  /** As `join`, with a promise. */
  wait(patience: Patience): Promise<T> {
    if (patience.waitUntil === 0) patience.waitUntil = this.#now() + this.#patience;
    const { waitUntil, signal } = patience;
    return new Promise((resolve, reject) => this.join({ resolve, reject, waitUntil, signal }));
  }

  /** The first in the line, who leaves it. */
  next(): Waiter<T> | undefined {
    const waiter = this.#line[this.#head];
    if (waiter === undefined) return undefined;
    this.#line[this.#head] = undefined; // kept, it would grow old with all that hangs on it, and cost the garbage collector dear
    this.#head++;
    this.#left(waiter);
    if (this.length === 0 || this.#head >= COMPACT_AT) this.#compact();
    return waiter;
  }

  /** Everybody's wait ends with `error`. */
  fail(error: Error): void {
    for (let left = this.length; left > 0; left--) this.next()?.reject(error); // some may come back
  }

  /** Nobody may join any more. */
  close(error: Error): void {
    this.fail(error);
    if (this.length === 0) this.#rest(); // whoever came back all the same waits no longer than others
  }

  /** Before those who began to wait later. Only who waited elsewhere before is not the last. */
  #insert(waiter: Waiter<T>): void {
    const line = this.#line;
    let at = line.length;
    while (at > this.#head && (line[at - 1] as Waiter<T>).waitUntil > waiter.waitUntil) at--;
    if (at === line.length) line.push(waiter);
    else line.splice(at, 0, waiter);
  }

  #heed(waiter: Waiter<T>, signal: AbortSignal): void {
    const leave = (): void => {
      const at = this.#line.indexOf(waiter, this.#head);
      this.#line.splice(at, 1);
      this.#left(waiter);
      waiter.reject(reasonOf(signal));
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#deaf.set(waiter, () => signal.removeEventListener('abort', leave));
  }

  #left(waiter: Waiter<T>): void {
    if (waiter.signal !== undefined) {
      this.#deaf.get(waiter)?.();
      this.#deaf.delete(waiter);
    }
    const waits = this.#waits;
    const waited = Math.max(0, this.#now() - waiter.waitUntil + this.#patience);
    waits.count++;
    waits.total += waited;
    waits.last = waited;
    if (waited > waits.max) waits.max = waited;
  }

  #compact(): void {
    this.#line = this.#line.slice(this.#head);
    this.#head = 0;
  }

  /** `performance.now()`, or in a long line what it was at the last look. */
  #now(): number {
    if (this.length < LONG) this.#looked = performance.now();
    return this.#looked;
  }

  #tick(): void {
    this.#looked = performance.now();
    while ((this.#line[this.#head]?.waitUntil ?? Number.POSITIVE_INFINITY) <= this.#looked)
      this.next()?.reject(this.#onTimeout());
    if (this.length === 0) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
