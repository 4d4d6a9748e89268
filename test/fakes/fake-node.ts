import type { Context } from '../../src/fabric/context.js';
import { createNode } from '../../src/fabric/node.js';
import { parseFabricOptions } from '../../src/fabric/options.js';
import type { Replication } from '../../src/fabric/replication/replication.js';
import type { GroupRecord, ServerRecord, Store } from '../../src/fabric/store/store.js';
import type { FabricNodeOptions } from '../../src/fabric.js';
import { STATUS_PRIMARY, type Status } from '../../src/wire/topology.js';
import { createFakeServers, type FakeServer, type FakeServers } from './fake-servers.js';

/** A whole node on fake servers, and the group of three that they are. */

export const uuidOf = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;

export const recordOf = (n: number, status: Status, change: Partial<ServerRecord> = {}): ServerRecord => ({
  ...{ uuid: uuidOf(n), host: 'h', port: n, status, weight: 1, needsFencing: false, byHand: false },
  mode: status === STATUS_PRIMARY ? 3 : 1,
  ...change,
});

/** What the first server has written, and the others have from it. */
export const WRITTEN = `${uuidOf(1)}:1-10`;

const UP = { startedAt: Date.now() - 3_600_000 };

/** Server 1 takes the writes; 2 and 3 follow it. All have been up for an hour. */
export function createTrio(): FakeServers {
  const servers = createFakeServers();
  servers.add(uuidOf(1), 1, { ...UP, readOnly: false, executed: WRITTEN });
  for (const n of [2, 3]) servers.add(uuidOf(n), n, replicaOf(1));
  return servers;
}

export const replicaOf = (source: number): Partial<FakeServer> => ({
  ...{ readOnly: true, executed: WRITTEN, source: { host: 'h', port: source }, sourceUuid: uuidOf(source) },
  ...{ ...UP, io: 'running', sql: 'running' },
});

export const trioRecord = (change: Partial<GroupRecord> = {}): Omit<GroupRecord, 'version'> => ({
  ...{ id: 'g', description: null, active: true, primary: uuidOf(1), primarySince: Date.now() - 100_000, baseline: '' },
  servers: [recordOf(1, 3), recordOf(2, 2), recordOf(3, 2)],
  ...change,
});

/** It looks at its servers five times a second. */
export function createFakeNode(store: Store, replication: Replication, change: Partial<FabricNodeOptions> = {}) {
  const sentences: string[] = [];
  const say = (sentence: string) => void sentences.push(sentence);
  const context: Context = {
    options: parseFabricOptions({
      servers: { password: 'p', unreachableTimeout: 1 },
      protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
      failureTracking: { detections: 3, detectionInterval: 0.6, detectionTimeout: 0.2 },
      ...change,
    }),
    store,
    replication,
    log: { debug: say, info: say, warn: say, error: say },
    now: Date.now,
  };
  return { fabric: createNode(context), sentences };
}
