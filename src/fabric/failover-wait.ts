/** When a failover that is wanted may be tried, and why not sooner. */
export interface FailoverWait {
  /** Whether this primary (uuid) may be replaced now: another one's wait is not its own. */
  due(primary: string): boolean;
  /** For how many ms that is so at least; 0: nothing is waited for. */
  readonly left: number;
  readonly reason: string;
  /** An attempt has failed: the next one comes later and later. Returns the ms until it. */
  failed(primary: string, reason: string): number;
  /** Not before so many ms. False: it waits for that already. */
  until(primary: string, ms: number, reason: string): boolean;
  /** Nothing is to be waited for any more. */
  clear(): void;
  /** Of this primary. */
  readonly attempts: number;
}

/** ms until a failover that failed is tried again. */
const FIRST = 1_000;
const LAST = 30_000;

export function createFailoverWait(): FailoverWait {
  let waiting: { readonly primary: string; readonly at: number; readonly reason: string } | undefined;
  let attempts = 0;

  const left = () => Math.max(0, (waiting?.at ?? 0) - performance.now());
  const wait = (primary: string, ms: number, reason: string) => {
    if (waiting?.primary !== primary) attempts = 0;
    waiting = { primary, at: performance.now() + ms, reason };
  };

  return {
    due: primary => waiting?.primary !== primary || left() === 0,
    get left() {
      return left();
    },
    get reason() {
      return waiting?.reason ?? '';
    },
    get attempts() {
      return attempts;
    },
    failed(primary, reason) {
      wait(primary, 0, reason);
      const delay = Math.min(FIRST * 2 ** attempts, LAST);
      attempts += 1;
      wait(primary, delay, reason);
      return delay;
    },
    until(primary, ms, reason) {
      const known = waiting?.primary === primary && waiting.reason === reason;
      wait(primary, ms, reason);
      return !known;
    },
    clear() {
      waiting = undefined;
      attempts = 0;
    },
  };
}
