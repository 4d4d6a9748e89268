import { hostname } from 'node:os';
import type { Server } from '../wire/topology.js';
import type { FabricRpc } from './fabric-rpc.js';

/** ms between two reports of the same server. */
const INTERVAL = 250;

/** Tells the Fabric node of servers that failed. A hint, sent beside the statement: a Fabric node that is down changes nothing. */
export class Reporter {
  readonly #rpc: Pick<FabricRpc, 'reportError'>;
  readonly #name = `${hostname()}:${process.pid}`;
  /** By server, `performance.now()`; those of the last moment. */
  readonly #reportedAt = new Map<string, number>();

  constructor(rpc: Pick<FabricRpc, 'reportError'>) {
    this.#rpc = rpc;
  }

  /** Its answer is not waited for. */
  report(server: Server, error: string): void {
    const now = performance.now();
    for (const [uuid, at] of this.#reportedAt) if (now - at >= INTERVAL) this.#reportedAt.delete(uuid);
    if (this.#reportedAt.has(server.uuid)) return;
    this.#reportedAt.set(server.uuid, now);
    this.#rpc.reportError(server.uuid, this.#name, error).catch(() => {});
  }
}
