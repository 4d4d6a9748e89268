import type { Context } from './context.js';
import type { Count } from './store/store.js';

/** How often each command was called and failed. Counted in memory, because connectors look up all the time, and stored every second. */
export interface Statistics {
  called(command: string): void;
  failed(command: string): void;
  /** Stores what was counted. @throws when the store cannot; it is kept for the next time. */
  flush(): Promise<void>;
  /** Stores the rest. Never rejects. */
  stop(): Promise<void>;
}

const PERIOD_MS = 1_000;

export function createStatistics({ store, log }: Pick<Context, 'store' | 'log'>): Statistics {
  const counted = new Map<string, Count>();

  const count = (subject: string, event: string, more = 1) => {
    const key = `${subject} ${event}`;
    counted.set(key, { kind: 'command', subject, event, total: (counted.get(key)?.total ?? 0) + more });
  };
  const flush = async () => {
    const counts = [...counted.values()];
    if (counts.length === 0) return;
    counted.clear();
    try {
      await store.addCounts(counts);
    } catch (error) {
      for (const { subject, event, total } of counts) count(subject, event, total);
      throw error;
    }
  };
  const tryFlush = () => flush().catch(error => log.debug(`the statistics could not be stored: ${String(error)}`));
  const timer = setInterval(tryFlush, PERIOD_MS).unref();

  return {
    called: command => count(command, 'called'),
    failed: command => count(command, 'failed'),
    flush,
    async stop() {
      clearInterval(timer);
      await tryFlush();
    },
  };
}
