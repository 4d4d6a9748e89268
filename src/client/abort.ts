import { badInput, FabricError } from './errors.js';
import { cut, type Physical } from './physical.js';

/** Statements that the application may call off: `{ sql, signal }`. Those without a signal pay nothing for it. */

/** @throws TypeError when it is not an AbortSignal. */
export function signalOf(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null) return undefined;
  const { signal } = options as { signal?: AbortSignal };
  if (signal === undefined || typeof signal?.addEventListener === 'function') return signal;
  throw badInput(TypeError, 'FABRIC_BAD_PROPERTY', 'signal', 'expected an AbortSignal');
}

/** What a wait that the signal ended fails with: its reason; where that is none that a callback could take for an error, one that tells it. */
export function reasonOf({ reason }: AbortSignal): Error {
  if (reason instanceof Error) return reason;
  return new DOMException(`It was called off${typeof reason === 'string' ? `: ${reason}` : ''}`, 'AbortError');
}

/** Fails a statement that waits for those before it. @returns what its turn begins with: whether it is still wanted. */
export function whileInLine(statement: { fail(reason: Error): void }, signal: AbortSignal): () => boolean {
  const abort = (): void => statement.fail(reasonOf(signal));
  signal.addEventListener('abort', abort, { once: true });
  return () => {
    signal.removeEventListener('abort', abort);
    return !signal.aborted;
  };
}

/** Cuts the connection, as a timeout does: there is no other way to end what a server is doing. @returns what is to be called instead of `done`. */
export function whileRunning<T extends unknown[]>(
  signal: AbortSignal,
  physical: Physical,
  done: (...answer: T) => void,
): (...answer: T) => void {
  const abort = (): void => {
    const reason = 'The statement was called off while it ran';
    cut(physical, new FabricError('FABRIC_ABORTED', reason, { cause: signal.reason }));
  };
  signal.addEventListener('abort', abort, { once: true });
  return (...answer) => {
    signal.removeEventListener('abort', abort);
    done(...answer);
  };
}
