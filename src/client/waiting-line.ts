/**
 * Callers that wait for something to come free, first come, first served. All have the same patience, so one timer, for the first in the
 * line, is enough for everybody.
 */
export class WaitingLine<T> {
  readonly #patience: number;
  readonly #onTimeout: () => Error;
  #line: (Waiter<T> | undefined)[] = [];
  /** Those before this index have been served. */
  #head = 0;
  /** Runs on when the line is empty, but keeps no process alive then: the next caller comes soon. */
  #timer: NodeJS.Timeout | undefined;

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

  join(waiter: Waiter<T>): void {
    waiter.until = performance.now() + this.#patience;
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#expire(), this.#patience);
    else if (this.length === 0) this.#timer.ref();
    this.#line.push(waiter);
  }

  /** The first in the line, who leaves it. */
  next(): Waiter<T> | undefined {
    const waiter = this.#line[this.#head];
    if (waiter === undefined) return undefined;
    this.#line[this.#head] = undefined; // kept, it would grow old with all that hangs on it, and cost the garbage collector dear
    this.#head++;
    if (this.length === 0) this.#timer?.unref();
    if (this.length === 0 || this.#head >= COMPACT_AT) this.#compact();
    return waiter;
  }

  /** Everybody's wait ends with `error`. */
  fail(error: Error): void {
    for (let waiter = this.next(); waiter !== undefined; waiter = this.next()) waiter.reject(error);
  }

  /** Nobody may join any more. */
  close(error: Error): void {
    this.fail(error);
    clearTimeout(this.#timer);
  }

  #compact(): void {
    this.#line = this.#line.slice(this.#head);
    this.#head = 0;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    // Timers may come a moment early.
    while ((this.#line[this.#head]?.until ?? Number.POSITIVE_INFINITY) <= now + 1)
      this.next()?.reject(this.#onTimeout());
    const first = this.#line[this.#head];
    if (first !== undefined) this.#timer ??= setTimeout(() => this.#expire(), first.until - now);
  }
}

/** Served callers are dropped this many at a time, so that leaving the line costs the same however long it is. */
const COMPACT_AT = 1_000;

/** Exactly one of the two is called, once. */
export interface Waiter<T> {
  resolve(value: T): void;
  reject(error: Error): void;
  /** `performance.now()` until which it waits; the line sets it. */
  until: number;
}
