/** Jobs that run one at a time, in the order in which they came. Each says itself when it has ended. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #busy = false;

  /** A job runs. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Runs the job when all before it have ended: now, if none runs. It ends by calling `next`. */
  take(job: () => void): void {
    if (this.#busy) {
      this.#waiting.push(job);
      return;
    }
    this.#busy = true;
    job();
  }

  /** The job that ran has ended. */
  next(): void {
    const job = this.#waiting.shift();
    if (job === undefined) this.#busy = false;
    else job();
  }
}
