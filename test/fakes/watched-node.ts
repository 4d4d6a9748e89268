import { expect } from 'vitest';
import type { Fabric } from '../../src/fabric/node.js';
import type { Address, ManagedServer, ReplicaStatus, Replication } from '../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../src/fabric/store/memory.js';
import type { GroupRecord, Store } from '../../src/fabric/store/store.js';
import { createFakeNode, createTrio, trioRecord, uuidOf } from './fake-node.js';

type Change = (server: ManagedServer, address: Address) => Partial<ManagedServer>;

/** A node on three fake servers, which notes beside whom each of them is opened. */
export class WatchedNode {
  readonly store: Store = createMemoryStore();
  readonly servers = createTrio();
  /** Each server that was opened, by its port, with those that accepted writes then. */
  readonly opened: [port: number, beside: number[]][] = [];
  #fabric: Fabric | undefined;

  get fabric(): Fabric {
    if (!this.#fabric) throw new Error('It is not started.');
    return this.#fabric;
  }

  /** @param change of what the servers do. */
  async start(group: Partial<GroupRecord> = {}, change: Change = () => ({}), store = this.store): Promise<void> {
    await this.store.createGroup(trioRecord(group));
    this.#fabric = createFakeNode(store, this.#watched(change)).fabric;
    await this.#fabric.start();
  }

  async stop(): Promise<void> {
    await this.#fabric?.stop();
  }

  #watched(change: Change): Replication {
    return {
      connect: async (address, timeout) => {
        const server = await this.servers.connect(address, timeout);
        const own: ManagedServer = {
          ...server,
          unfence: () => {
            this.opened.push([address.port, this.writable().filter(port => port !== address.port)]);
            return server.unfence();
          },
        };
        return { ...own, ...change(own, address) };
      },
    };
  }

  writable(): number[] {
    return [1, 2, 3].filter(port => this.servers.get(port).up && !this.servers.get(port).readOnly);
  }

  async stored(): Promise<GroupRecord> {
    return (await this.store.group('g')) as GroupRecord;
  }

  /** The primary, and those that accept writes. */
  async state(): Promise<[string | null, number[]]> {
    return [(await this.stored()).primary, this.writable()];
  }

  async primaryBecomes(n: number): Promise<void> {
    await expect.poll(async () => (await this.stored()).primary, { timeout: 5_000 }).toBe(uuidOf(n));
  }

  reported() {
    return this.fabric.call('threat.report_failure', uuidOf(1));
  }

  /** A run that a killed node has left behind. */
  async leftBehind(procedure: string, step: number, data: object): Promise<void> {
    const before = { ...trioRecord(), version: 1 };
    const promotion = { asked: null, updateOnly: false, oldExecuted: null, order: [], chosen: null, old: uuidOf(1) };
    const run = { uuid: 'r1', procedure, group: 'g', step, finished: false, error: null, events: [] };
    await this.store.saveRun({ ...run, data: JSON.stringify({ group: 'g', before, ...promotion, ...data }) });
  }
}

/** What `threat.report_failure` records of a failover. */
export const DECLARED = {
  ...{ server: uuidOf(1), reporter: 'x', error: 'x', respectFailoverInterval: true },
  ...{ kind: 'failover', automatic: true, mayReturn: true, believedDead: true },
};

/** The status of a replica of which this is so. */
export async function having(server: ManagedServer, change: Partial<ReplicaStatus>): Promise<ReplicaStatus | null> {
  const status = await server.replicaStatus();
  return status && { ...status, ...change };
}
