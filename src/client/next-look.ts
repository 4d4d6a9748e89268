import { setTimeout as sleep } from 'node:timers/promises';

/** When a group that has no server for somebody is looked at next: one look for all who wait. */
export interface NextLook {
  /** By performance.now(). */
  readonly at: number;
  /** Resolves then, when what was known of the group is forgotten. */
  readonly due: Promise<void>;
}

interface Scheduled extends NextLook {
  /** When the first one found no server, by performance.now(). */
  readonly since: number;
}

/** ms between two looks: a tenth of the time for which there has been no server, so that who waits learns of one after hardly longer than it took. */
const PAUSE = { least: 10, most: 100, share: 0.1 };
/** ms after which it is another outage. */
const OVER = 1_000;

export class NextLooks {
  readonly #scheduled = new Map<string, Scheduled>();
  readonly #forget: (group: string) => void;

  /** @param forget what is known of a group: its servers are asked for again. */
  constructor(forget: (group: string) => void) {
    this.#forget = forget;
  }

  of(group: string): NextLook {
    const now = performance.now();
    const last = this.#scheduled.get(group);
    if (last !== undefined && last.at > now) return last;
    const since = last !== undefined && now - last.at < OVER ? last.since : now;
    const pause = Math.min(Math.max((now - since) * PAUSE.share, PAUSE.least), PAUSE.most);
    const due = sleep(pause).then(() => this.#forget(group));
    const next = { at: now + pause, due, since };
    this.#scheduled.set(group, next);
    return next;
  }

  /** The group has a server again. */
  over(group: string): void {
    this.#scheduled.delete(group);
  }
}
