import { readdirSync, readFileSync } from 'node:fs';

/** A stop signal takes effect thread by thread; on a busy machine some go on for a while. */

const BOUND_MS = 1_000;

/**
 * Blocks until every thread of the process has stopped, at most a second. Where the system does not tell (no /proc), it returns at once.
 */
export function untilFrozen(pid: number): void {
  const end = performance.now() + BOUND_MS;
  const clock = new Int32Array(new SharedArrayBuffer(4));
  while (!frozen(pid) && performance.now() < end) Atomics.wait(clock, 0, 0, 1);
}

/** State `T` (stopped) is what follows the name in parentheses; a thread that has ended meanwhile does not count. */
function frozen(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every(thread => /\) [TtZX] /.test(statOf(pid, thread)));
  } catch {
    return true;
  }
}

function statOf(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
  } catch {
    return ') X ';
  }
}
