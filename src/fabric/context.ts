import type { FabricOptions } from './options.js';
import type { Replication } from './replication/replication.js';
import type { Store } from './store/store.js';

/** Takes the node's sentences: each decision with its evidence. Never a secret. */
export interface Log {
  debug(sentence: string): void;
  info(sentence: string): void;
  warn(sentence: string): void;
  error(sentence: string): void;
}

/** What every command, procedure and detector of one node shares. Made by `node.ts`, passed down, never global. */
export interface Context {
  readonly options: FabricOptions;
  readonly store: Store;
  readonly replication: Replication;
  readonly log: Log;
  /** Epoch ms. */
  readonly now: () => number;
}
