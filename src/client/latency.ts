import type { Clock } from './supply.js';

/** What one statement counts for among those before it. */
const LATEST_PART = 0.1;
/** Ticks without a statement in which what is known halves: a server that was slow is asked again. */
const HALF_LIFE = 10;

/** How long a server's statements take: an exponentially weighted mean. */
export class Latency {
  readonly #clock: Clock;
  #mean = 0;
  #tick = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** ms; 0: not known. */
  get value(): number {
    return this.#mean * 0.5 ** ((this.#clock.tick - this.#tick) / HALF_LIFE);
  }

  /** A statement took `ms`. */
  took(ms: number): void {
    this.#mean = this.#mean === 0 ? ms : this.#mean + (ms - this.#mean) * LATEST_PART;
    this.#tick = this.#clock.tick;
  }
}
