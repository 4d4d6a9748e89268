/** Jobs that run one at a time, in the order in which they came. Each says itself when it has ended. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #busy = false;
  #advancing = false;
  readonly #onIdle: () => void;

  /** @param onIdle is called each time when all jobs have ended. */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** A job runs. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Runs the job when all before it have ended: now, if none runs. It ends by calling `next`. */
  take(job: () => void): void {
    this.#waiting.push(job);
    this.#advance();
  }

  /** The job that ran has ended. */
  next(): void {
    this.#busy = false;
    this.#advance();
  }

  /** A loop, for thousands of jobs may end as soon as they begin. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (!this.#busy) {
        const job = this.#waiting.shift();
        if (job === undefined) break;
        this.#busy = true;
        job();
      }
    } finally {
      this.#advancing = false;
    }
    if (!this.#busy) this.#onIdle();
  }
}
