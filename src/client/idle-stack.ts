import type { Physical } from './physical.js';

/** Connections at rest. The one used last is lent next, so those that are not needed grow old at the bottom. */
export class IdleStack {
  readonly #stack: Physical[] = [];

  get length(): number {
    return this.#stack.length;
  }

  /** @param tick the clock's now. */
  push(physical: Physical, tick: number): void {
    physical.idleTick = tick;
    this.#stack.push(physical);
  }

  /** The one that was used last; lost ones are forgotten. */
  pop(): Physical | undefined {
    let physical = this.#stack.pop();
    while (physical !== undefined && !physical.alive) physical = this.#stack.pop();
    return physical;
  }

  /** @returns false: it was not here. */
  remove(physical: Physical): boolean {
    const at = this.#stack.indexOf(physical);
    if (at >= 0) this.#stack.splice(at, 1);
    return at >= 0;
  }

  /** Takes out those that have been here since `tick` or longer. */
  takeOlder(tick: number): Physical[] {
    const young = this.#stack.findIndex(physical => physical.idleTick > tick);
    return this.#stack.splice(0, young < 0 ? this.#stack.length : young);
  }

  /** Takes out those whose last tick was before `tick`. */
  takeExpired(tick: number): Physical[] {
    const expired = this.#stack.filter(physical => physical.lastTick < tick);
    for (const physical of expired) this.remove(physical);
    return expired;
  }
}
