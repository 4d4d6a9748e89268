/** Waiting with a bound, and not beyond the end of the demo. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until it says yes. Rejects when that takes longer than `timeout` ms, or with the signal's reason. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { signal, timeout = 10_000, pause = 20 }: { signal: AbortSignal; timeout?: number; pause?: number },
): Promise<void> {
  const deadline = performance.now() + timeout;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited ${timeout / 1_000} s in vain: ${what}.`);
    await sleep(pause, undefined, { signal });
  }
}

/** Rejects with the signal's reason as soon as it is given. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
