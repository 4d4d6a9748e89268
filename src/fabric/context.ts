import type { Log } from './log.js';
import type { FabricOptions } from './option-table.js';
import type { Replication } from './replication/replication.js';
import type { Store } from './store/store.js';

/** What every command, procedure and detector of one node shares. Made by `node.ts`, passed down, never global. */
export interface Context {
  readonly options: FabricOptions;
  readonly store: Store;
  readonly replication: Replication;
  readonly log: Log;
  /** Epoch ms. */
  readonly now: () => number;
}
