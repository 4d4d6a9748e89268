import type { ChildProcess } from 'node:child_process';

/**
 * The next message of a child process; undefined when a signal has ended it before.
 * @param bound ms to wait.
 * @throws when the child ends by itself, and when the bound passes. (`AbortSignal.any` over `AbortSignal.timeout` would be shorter, but the
 *   garbage collector may take such a pair, and then nobody ends the wait.)
 */
export function nextMessage(child: ChildProcess, bound: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
      settle();
    };
    const onMessage = (message: unknown): void => end(() => resolve(message));
    const onExit = (code: number | null): void =>
      end(() => (code === null ? resolve(undefined) : reject(new Error(`the process ended with ${code}`))));
    const timer = setTimeout(() => end(() => reject(new Error(`no message within ${bound} ms`))), bound);
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}
