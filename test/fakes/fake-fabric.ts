import { createNode, type Fabric } from '../../src/fabric/node.js';
import { type FabricNodeOptions, parseFabricOptions } from '../../src/fabric/options.js';
import { createMemoryStore } from '../../src/fabric/store/memory.js';
import type { GroupRecord, ServerRecord, Store } from '../../src/fabric/store/store.js';
import { createFakeServers, type FakeServers } from './fake-servers.js';

/** A real node, with its real endpoint on a free port, over MySQL servers that exist only here. */
export interface FakeFabric {
  readonly fabric: Fabric;
  readonly store: Store;
  readonly servers: FakeServers;
  /** The node's warnings and errors. */
  readonly complaints: string[];
  /** Epoch ms; the node's clock stands until it is set. */
  now: number;
}

export const UUIDS = [
  '7f620b72-e5e4-11f1-a89c-02fc00000001',
  '8103041c-e5e4-11f1-a89c-02fc00000001',
  '82407a3f-e5e4-11f1-a89c-02fc00000001',
] as const;

/** The group `my_group` of three servers on ports 34002 to 34004, whose third one is the primary. */
export async function createFakeFabric(options: Partial<FabricNodeOptions> = {}): Promise<FakeFabric> {
  const store = createMemoryStore();
  const servers = createFakeServers();
  const complaints: string[] = [];
  const complain = (sentence: string) => complaints.push(sentence);
  const primary = { host: '127.0.0.1', port: 34_004 };
  for (const [index, uuid] of UUIDS.entries()) {
    const replica = { source: primary, sourceUuid: UUIDS[2], io: 'running', sql: 'running' } as const;
    servers.add(uuid, 34_002 + index, index === 2 ? { readOnly: false } : replica);
  }
  await store.createGroup(captureGroup());

  const parts: FakeFabric = {
    store,
    servers,
    complaints,
    now: 1_795_290_654_000,
    fabric: createNode({
      options: parseFabricOptions({
        servers: { password: 'fabric-secret', unreachableTimeout: 1 },
        protocol: { xmlrpc: { address: '127.0.0.1:0', password: 'secret' } },
        ...options,
      }),
      store,
      replication: servers,
      log: { debug() {}, info() {}, warn: complain, error: complain },
      now: () => parts.now,
    }),
  };
  await parts.fabric.start();
  return parts;
}

function captureGroup(): Omit<GroupRecord, 'version'> {
  const servers = UUIDS.map((uuid, index): ServerRecord => {
    const isPrimary = index === 2;
    const role = isPrimary ? ({ status: 3, mode: 3 } as const) : ({ status: 2, mode: 1 } as const);
    return { uuid, host: '127.0.0.1', port: 34_002 + index, weight: 1, needsFencing: false, byHand: false, ...role };
  });
  const state = { active: false, primary: UUIDS[2], primarySince: null, baseline: null };
  return { id: 'my_group', description: null, ...state, servers };
}
