import type { Context } from './context.js';
import { createFencer } from './fencer.js';
import { createGroupWatch, type GroupWatch, type Outlook } from './group-watch.js';
import type { Runner } from './procedures/runner.js';

/** Watches the servers of the active groups, and fences what must not accept writes in all groups. */
export interface Detector {
  /** Begins to fence. */
  start(): void;
  /** Begins to watch a group; harmless when it does already. */
  watch(group: string): void;
  unwatch(group: string): void;
  /** Somebody had trouble with this server (uuid): look at it now. Nothing happens when its group is not watched. */
  hint(server: string, group: string): void;
  /** What it thinks of a group; undefined: that is not watched. */
  outlook(group: string): Outlook | undefined;
  /** Ends every timer, connection and look; what was decided already runs on in the runner. */
  stop(): Promise<void>;
}

export function createDetector(context: Context, runner: Runner): Detector {
  const watches = new Map<string, GroupWatch>();
  const fencer = createFencer(context, runner);
  let stopped = false;

  return {
    start: fencer.start,
    watch(group) {
      if (!stopped && !watches.has(group)) watches.set(group, createGroupWatch(group, context, runner));
    },
    unwatch(group) {
      void watches.get(group)?.stop();
      watches.delete(group);
    },
    hint(server, group) {
      watches.get(group)?.hint(server);
    },
    outlook: group => watches.get(group)?.outlook(),
    async stop() {
      stopped = true;
      await Promise.all([fencer.stop(), ...[...watches.values()].map(watch => watch.stop())]);
      watches.clear();
    },
  };
}
