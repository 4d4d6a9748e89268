import { CommandError } from '../errors.js';

/** Waits that end early. What becomes of the work then is nobody's business any more. */

/** `work`, or the signal's reason as soon as that is aborted. */
export async function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let leave = () => {};
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
  });
  try {
    return await Promise.race([work, left]);
  } finally {
    signal.removeEventListener('abort', leave);
    work.catch(() => {});
  }
}

/** Rejects when `work` takes longer than `bound` ms. */
export async function within<T>(bound: number, name: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CommandError('ProcedureError', `'${name}' took longer than ${bound} ms.`)),
      bound,
    );
  });
  try {
    return await Promise.race([work, guard]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
