import { reasonOf } from './abort.js';

/**
 * What `work` gives, unless something else ends the wait first.
 * @param arm is given what ends it, and returns what calls that off.
 * @param onLate gets what comes too late.
 */
function unless<T>(
  work: Promise<T>,
  arm: (end: (reason: unknown) => void) => () => void,
  onLate: (value: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let ended = false;
    const disarm = arm(reason => {
      ended = true;
      reject(reason);
    });
    work.then(
      value => {
        disarm();
        if (ended) onLate(value);
        else resolve(value);
      },
      error => {
        disarm();
        reject(error);
      },
    );
  });
}

/** @param until `performance.now()` at which the wait ends, with what `onTimeout` makes. */
export function within<T>(
  work: Promise<T>,
  until: number,
  onTimeout: () => Error,
  onLate: (value: T) => void,
): Promise<T> {
  const arm = (end: (reason: unknown) => void): (() => void) => {
    const timer = setTimeout(() => end(onTimeout()), Math.max(0, until - performance.now()));
    return () => clearTimeout(timer);
  };
  return unless(work, arm, onLate);
}

/** Ends with the signal's reason. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, onLate: (value: T) => void): Promise<T> {
  const arm = (end: (reason: unknown) => void): (() => void) => {
    const abort = (): void => end(reasonOf(signal));
    signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  };
  return unless(work, arm, onLate);
}
