import type { StatementError } from './verdict.js';

/** ms that an unreachable server is left alone after a failed connect; doubles with each further one. */
const PAUSE = { first: 50, most: 1_000 };

/** Whether a server let us connect lately. While it cools nobody tries: other servers are asked. */
export class Cooling {
  #failures = 0;
  #until = 0;
  #error: StatementError | undefined;
  #full = false;

  /** Why the last connect failed, while that is still to be believed. */
  get error(): StatementError | undefined {
    return this.active ? this.#error : undefined;
  }

  get active(): boolean {
    return this.#failures > 0 && performance.now() < this.#until;
  }

  /** It only admits no further connection; those that there are remain good. */
  get full(): boolean {
    return this.#full && this.active;
  }

  failed(error: StatementError, full: boolean): void {
    this.#until = performance.now() + Math.min(PAUSE.most, PAUSE.first * 2 ** this.#failures++);
    this.#error = error;
    this.#full = full;
  }

  connected(): void {
    this.#failures = 0;
    this.#error = undefined;
  }
}
