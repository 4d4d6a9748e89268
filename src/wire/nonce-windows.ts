/** Which request counts of which nonces were used, so that each is used once: in bounded memory, clock passed in. */

/** How far a request may lag behind the newest one of its nonce: several sockets deliver them a little out of order. */
export const WINDOW = 64;

/** A nonce with the times, in milliseconds, between which it is good. */
export interface Lease {
  readonly nonce: string;
  readonly issued: number;
  readonly expires: number;
}

interface Window {
  readonly lease: Lease;
  highest: number;
  /** Bit i: count `highest - i` was used. */
  used: bigint;
}

/** A sliding window per nonce, like the one that IPsec has against replays. */
export class NonceWindows {
  readonly #windows = new Map<string, Window>();
  readonly #capacity: number;
  /** Some nonce issued at this time was forgotten: those up to it count as used up, unless still remembered. */
  #floor = Number.NEGATIVE_INFINITY;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#windows.size;
  }

  /** Marks the count as used; false when it was before, is too old to know, or its nonce was forgotten. */
  use(lease: Lease, count: number, now: number): boolean {
    this.#purge(now);
    const window = this.#windows.get(lease.nonce);
    if (window) return slide(window, count);
    if (lease.issued <= this.#floor) return false;
    if (this.#windows.size >= this.#capacity) this.#forgetOldest();
    this.#windows.set(lease.nonce, { lease, highest: count, used: 1n });
    return true;
  }

  /** From the first used on: what stands behind a living one expires at most one lifetime later, and is found then. */
  #purge(now: number): void {
    for (const { lease } of this.#windows.values()) {
      if (lease.expires > now) return;
      this.#forget(lease);
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#windows.values();
    if (oldest) this.#forget(oldest.lease);
  }

  /** The floor rises for expired nonces too: a clock that is set back must not bring them to life again. */
  #forget(lease: Lease): void {
    this.#windows.delete(lease.nonce);
    this.#floor = Math.max(this.#floor, lease.issued);
  }
}

function slide(window: Window, count: number): boolean {
  const ahead = count - window.highest;
  if (ahead > 0) {
    const kept = ahead < WINDOW ? window.used << BigInt(ahead) : 0n;
    window.used = BigInt.asUintN(WINDOW, kept | 1n);
    window.highest = count;
    return true;
  }
  if (-ahead >= WINDOW) return false;
  const bit = 1n << BigInt(-ahead);
  if (window.used & bit) return false;
  window.used |= bit;
  return true;
}
