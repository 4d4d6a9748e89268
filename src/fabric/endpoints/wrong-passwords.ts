import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';

/**
 * Makes guessing slow: a wrong password is answered late, later each time it happens again, per user and address. What waits costs one timer;
 * nobody else waits, and a right password ends it.
 */
export interface WrongPasswords {
  /**
   * What follows from a password that was right or wrong: `in`; the ms after which to tell that it was wrong; or `crowded`, when so many of this
   * user and address were wrong lately that it must not be told whether it was right.
   */
  judge(user: string, address: string | undefined, right: boolean): 'in' | 'crowded' | number;
  /** Resolves after so many ms, when `gone` does, or before when too many wait. */
  hold(ms: number, gone: Promise<unknown>): Promise<void>;
  /** Lets all go. */
  stop(): void;
}

const FIRST_MS = 250;
const LONGEST_MS = 4_000;
/** So many guesses of one user and address may be made in one delay, whether or not their clients wait for the answer. */
const AT_ONCE = 16;
/** Clients that wait. */
const HELD = 256;
const REMEMBERED = 10_000;
const FORGOTTEN_MS = 900_000;
const NAME_LENGTH = 64;

interface Guesses {
  readonly count: number;
  /** When the delays end that have begun. */
  readonly ends: readonly number[];
}

/** @param now ms, of any clock that never goes back. */
export function createWrongPasswords(now: () => number = () => performance.now()): WrongPasswords {
  const table = new LRUCache<string, Guesses>({
    ...{ max: REMEMBERED, ttl: FORGOTTEN_MS, ttlResolution: 0 },
    perf: { now },
  });
  const held = new Set<() => void>();

  return {
    judge(user, address = '', right) {
      const key = `${networkOf(address)} ${user.slice(0, NAME_LENGTH)}`;
      const { count, ends } = table.get(key) ?? { count: 0, ends: [] };
      const running = ends.filter(end => end > now());
      if (running.length >= AT_ONCE) return 'crowded';
      if (right) {
        table.delete(key);
        return 'in';
      }
      const delay = Math.min(FIRST_MS * 2 ** count, LONGEST_MS);
      table.set(key, { count: count + 1, ends: [...running, now() + delay] });
      return delay;
    },
    hold: (ms, gone) =>
      new Promise(resolve => {
        const end = () => {
          clearTimeout(timer);
          held.delete(end);
          resolve();
        };
        const timer = setTimeout(end, ms);
        held.add(end);
        void gone.then(end);
        const [oldest] = held;
        if (held.size > HELD) oldest?.();
      }),
    stop() {
      for (const end of [...held]) end();
    },
  };
}

/** Whoever has one address of IPv6 has all of its network. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const before = head.split(':').filter(Boolean);
  const after = (tail ?? '').split(':').filter(Boolean);
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':');
}
