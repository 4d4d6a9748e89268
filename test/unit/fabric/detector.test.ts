import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../../src/fabric/context.js';
import { createDetector, type Detector } from '../../../src/fabric/detector.js';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import type { Procedure } from '../../../src/fabric/procedures/run.js';
import type { Runner } from '../../../src/fabric/procedures/runner.js';
import { AdminError, type ManagedServer, type ReplicaStatus } from '../../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import type { RunRecord, ServerRecord } from '../../../src/fabric/store/store.js';

/** Only the timing and the order of looks are tested with these stand-ins; what real servers do is tested on real servers. */

const UUIDS = [
  '00000000-0000-0000-0000-000000000001',
  '00000000-0000-0000-0000-000000000002',
  '00000000-0000-0000-0000-000000000003',
];
const [P = '', S1 = ''] = UUIDS;

class FakeServer {
  alive = true;
  refuses = false;
  readOnly = true;
  startedAt = Date.now() - 60_000;
  io: ReplicaStatus['ioThread'] = 'running';
  connects = 0;
  open = 0;
  readonly #listeners = new Set<() => void>();

  die(): void {
    this.alive = false;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  restart(startsReadOnly = false): void {
    this.die();
    this.alive = true;
    this.readOnly = startsReadOnly;
    this.startedAt = Date.now();
  }

  connect(address: { host: string; port: number }): ManagedServer {
    const uuid = UUIDS[address.port - 1] ?? '';
    this.connects += 1;
    if (this.refuses) throw new AdminError('too many', address, 'ER_CON_COUNT_ERROR', false);
    if (!this.alive) throw new AdminError('refused', address, 'ECONNREFUSED', true);
    this.open += 1;
    const own = new Set<() => void>();
    const status = { source: { host: 'h', port: 1 }, sourceUuid: P, ioThread: this.io };
    const server: Partial<ManagedServer> = {
      uptime: async () => Math.floor((Date.now() - this.startedAt) / 1_000),
      semiSync: async () => null,
      executed: async () => '',
      identity: async () => ({ uuid, version: '9.7.0', readOnly: this.readOnly, superReadOnly: this.readOnly }),
      replicaStatus: async () => ({ ...status, ioThread: this.io }) as ReplicaStatus,
      onLost: listener => {
        own.add(listener);
        this.#listeners.add(listener);
      },
      close: () => {
        this.open -= 1;
        for (const listener of own) this.#listeners.delete(listener);
      },
    };
    return server as ManagedServer;
  }
}

let servers: FakeServer[];
let primary: FakeServer;
let replica: FakeServer;
let other: FakeServer;
let replicas: FakeServer[];
let declared: string[];
let attached: string[];
let reopened: string[];
let attachError: string | null;
let declareError: string | null;
let sentences: string[];
let busy: boolean;
let context: Context;
let detector: Detector;

const PERIOD = 100;

beforeEach(async () => {
  servers = UUIDS.map(() => new FakeServer());
  [primary, replica, other] = servers as [FakeServer, FakeServer, FakeServer];
  replicas = [replica, other];
  declared = [];
  attached = [];
  reopened = [];
  attachError = null;
  declareError = null;
  sentences = [];
  busy = false;
  const say = (sentence: string) => {
    sentences.push(sentence);
  };
  const options = parseFabricOptions({
    servers: { user: 'u', password: 'p' },
    protocol: { xmlrpc: { password: 'p' } },
  });
  const failureTracking = {
    ...options.failureTracking,
    detections: 3,
    detectionInterval: (PERIOD * 3) / 1000,
    detectionTimeout: 0.05,
  };
  const store = createMemoryStore();
  context = {
    options: { ...options, failureTracking },
    store,
    replication: { connect: async address => (servers[address.port - 1] as FakeServer).connect(address) },
    log: { debug: say, info: say, warn: say, error: say },
    now: Date.now,
  };
  const records = UUIDS.map(
    (uuid, index): ServerRecord => ({
      uuid,
      host: 'h',
      port: index + 1,
      status: uuid === P ? 3 : 2,
      mode: uuid === P ? 3 : 1,
      weight: 1,
      needsFencing: false,
      byHand: false,
    }),
  );
  await store.createGroup({
    id: 'g',
    description: null,
    active: true,
    primary: P,
    primarySince: Date.now() - 30_000,
    baseline: null,
    servers: records,
  });
  detector = createDetector(context, { run: declare, busy: () => busy } as Partial<Runner> as Runner);
  detector.start();
  detector.watch('g');
  await sleep(PERIOD / 2);
});

afterEach(() => detector.stop());

/** Stands in for the runner: notes who is declared FAULTY, made to follow the primary again, or opened again, and does no more than that. */
function declare(procedure: Pick<Procedure, 'name' | 'data'>): { uuid: string; done: Promise<RunRecord> } {
  const { server } = procedure.data as { server: string };
  if (procedure.name === 'reattach') {
    attached.push(server);
    return { uuid: '', done: Promise.resolve({ error: attachError } as RunRecord) };
  }
  if (procedure.name === 'reopen') {
    reopened.push(server);
    return { uuid: '', done: Promise.resolve({ error: null } as RunRecord) };
  }
  declared.push(server);
  if (declareError !== null) return { uuid: '', done: Promise.resolve({ error: declareError } as RunRecord) };
  const done = context.store.group('g').then(async group => {
    if (!group) throw new Error('no group');
    const marked = group.servers.map(record => (record.uuid === server ? { ...record, status: 0 as const } : record));
    await context.store.saveGroup({ ...group, primary: server === P ? S1 : group.primary, servers: marked });
    return { error: null } as RunRecord;
  });
  return { uuid: '', done };
}

describe('the detector', () => {
  test('leaves healthy servers alone, and holds one connection to each', async () => {
    await sleep(PERIOD * 5);
    expect(declared).toEqual([]);
    expect(servers.map(({ open }) => open)).toEqual([1, 1, 1]);
  });

  test('declares a primary dead at once that neither it nor the replicas hear', async () => {
    for (const each of replicas) each.io = 'connecting';
    primary.die();
    await sleep(90);
    expect(declared).toEqual([P]);
    expect(sentences.join()).toContain('neither this node nor any of the 2 replicas');
  });

  test('never declares a primary dead that a replica hears, and does when it no longer does', async () => {
    replica.io = 'connecting';
    primary.die();
    await sleep(PERIOD * 8);
    expect(declared).toEqual([]);
    other.io = 'connecting';
    await sleep(260);
    expect(declared).toEqual([P]);
  });

  test('takes a replica with stopped threads for no witness', async () => {
    for (const each of replicas) each.io = 'stopped';
    primary.die();
    await sleep(PERIOD);
    expect(declared).toEqual([]);
    await sleep(PERIOD * 5);
    expect(declared).toEqual([P]);
  });

  test('declares a secondary dead after so many failed rounds, not sooner', async () => {
    replica.die();
    await sleep(PERIOD * 1.5);
    expect(declared).toEqual([]);
    await sleep(PERIOD * 3);
    expect(declared).toEqual([S1]);
  });

  test('counts anew when a server has answered', async () => {
    replica.die();
    await sleep(PERIOD * 1.5);
    replica.alive = true;
    await sleep(PERIOD * 1.5);
    replica.die();
    await sleep(PERIOD * 1.2);
    expect(declared).toEqual([]);
  });

  test('takes an error that the server sent for an answer', async () => {
    for (const server of servers) server.refuses = true;
    await sleep(PERIOD * 8);
    expect(declared).toEqual([]);
  });

  test('does not judge while a procedure of the group runs, but right after', async () => {
    busy = true;
    for (const each of replicas) each.io = 'connecting';
    primary.die();
    await sleep(PERIOD * 3);
    expect(declared).toEqual([]);
    busy = false;
    await sleep(260);
    expect(declared).toEqual([P]);
  });

  test('lets a secondary that was lost for a moment follow again, once', async () => {
    expect(attached).toEqual([]);
    replica.restart();
    await sleep(PERIOD * 3);
    expect(attached).toEqual([S1]);
  });

  test('does so also when it went away before it could be held on to', async () => {
    detector.unwatch('g');
    replica.refuses = true; // as a server does that shuts down
    detector.watch('g');
    await sleep(PERIOD);
    replica.restart();
    replica.refuses = false;
    await sleep(PERIOD * 2);
    expect(attached).toEqual([S1]);
  });

  test('tries again when it was lost meanwhile, or could not be reached', async () => {
    attachError = 'unreachable';
    replica.restart();
    await sleep(PERIOD * 1.5);
    expect(attached.length).toBeGreaterThan(1);
    attachError = null;
    await sleep(PERIOD * 1.5);
    const { length } = attached;
    await sleep(PERIOD * 2);
    expect(attached.length).toBe(length);
  });

  test('lets a secondary follow a new primary that still follows the former one', async () => {
    const group = await context.store.group('g');
    if (!group) throw new Error('no group');
    await context.store.saveGroup({ ...group, primary: UUIDS[2] ?? '' });
    await sleep(PERIOD * 3);
    expect(attached.sort()).toEqual([P, S1]);
  });

  test('waits with it for a primary that does not answer', async () => {
    primary.die();
    await sleep(20);
    replica.restart();
    await sleep(PERIOD * 3);
    expect(declared).toEqual([]); // the other replica hears it
    expect(attached).toEqual([]);
    primary.alive = true;
    await sleep(PERIOD * 3);
    expect(attached).toEqual([S1]);
  });

  test('waits with it for a successor of a primary that is lost', async () => {
    declareError = 'no candidate';
    const group = await context.store.group('g');
    if (!group) throw new Error('no group');
    const lost = group.servers.map(record => (record.uuid === P ? { ...record, status: 0 as const } : record));
    const { version: _version, ...saved } = await context.store.saveGroup({ ...group, servers: lost });
    replica.restart();
    await sleep(PERIOD * 3);
    expect(attached).toEqual([]);
    const now = await context.store.group('g');
    if (!now) throw new Error('no group');
    const other = UUIDS[2] ?? '';
    await context.store.saveGroup({ ...now, ...saved, primary: other, version: now.version });
    await sleep(PERIOD * 3);
    expect(attached).toEqual([S1]);
  });

  test('opens a primary again that has restarted, once', async () => {
    primary.restart(true);
    await sleep(PERIOD * 3);
    primary.die();
    primary.alive = true; // it was the network
    await sleep(PERIOD * 3);
    expect(reopened).toEqual([P]);
    expect(declared).toEqual([]);
  });

  test('does so also when it restarted before it was first looked at', async () => {
    detector.unwatch('g');
    primary.startedAt = Date.now();
    detector.watch('g');
    await sleep(PERIOD);
    expect(reopened).toEqual([P]);
  });

  test('leaves a primary alone that has not restarted', async () => {
    primary.die();
    await sleep(20);
    primary.alive = true;
    const { connects } = primary;
    await sleep(PERIOD * 3);
    expect(primary.connects).toBeGreaterThan(connects);
    expect(reopened).toEqual([]);
  });

  test('waits with it while a server is in doubt that may know more', async () => {
    replica.die();
    await sleep(20);
    primary.restart(true);
    const deadline = performance.now() + PERIOD * 20;
    while (reopened.length === 0 && performance.now() < deadline) await sleep(5);
    expect([declared, reopened]).toEqual([[S1], [P]]);
  });

  test('looks at once on a hint', async () => {
    const { connects } = primary;
    detector.hint(P, 'g');
    detector.hint(P, 'g');
    await sleep(10);
    expect(primary.connects - connects).toBe(1);
    detector.hint('unknown', 'g');
    detector.hint(P, 'unknown');
  });

  test('ends all it holds, and looks no more', async () => {
    await detector.stop();
    const connects = servers.map(server => server.connects);
    expect(servers.map(({ open }) => open)).toEqual([0, 0, 0]);
    primary.die();
    detector.watch('g');
    await sleep(PERIOD * 2);
    expect(servers.map(server => server.connects)).toEqual(connects);
    expect(declared).toEqual([]);
  });

  test('lets go of a group that is not watched any more', async () => {
    detector.unwatch('g');
    primary.die();
    await sleep(PERIOD * 4);
    expect(declared).toEqual([]);
  });
});
