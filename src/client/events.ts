import { type Channel, channel } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';
import { type Server, STATUS_PRIMARY, type Topology } from '../wire/topology.js';
import type { FabricError, FabricErrorCode } from './errors.js';
import { sameServer } from './topology-cache.js';
import type { StatementError } from './verdict.js';

/**
 * What pools and connections tell besides mysql2's events. Each is also published on the diagnostics channel `mysql2-fabric:` and its name.
 * No SQL, no values, no passwords; of errors only the codes.
 */
export interface FabricEvents {
  /** The servers of a group are others, or have other roles, than this client knew. Also the first time that it learns of a group. */
  topology: TopologyChange;
  /** Another server takes the writes: a failover or a switchover. */
  failover: Failover;
  /** The server can be connected to again, or was added to the group (again). */
  'server-up': ServerUp;
  /** The server cannot be connected to, or is not listed any more: it is FAULTY, or was removed. Told once, until it is up again. */
  'server-down': ServerDown;
  /** All connections to the server are busy, and callers wait for longer than a moment, or were refused. Told once, until relieved. */
  'pool-saturated': PoolSaturated;
  /** Nobody waits for a connection to that server any more. */
  'pool-relieved': PoolEvent;
  /** The last connection to a server that left the group, or serves nothing any more, has ended. */
  'pool-drained': PoolEvent;
}

export type FabricEventName = keyof FabricEvents;

export interface TopologyChange {
  readonly group: string;
  /** null: nothing was known of the group. */
  readonly before: Topology | null;
  readonly topology: Topology;
  readonly added: readonly Server[];
  readonly removed: readonly Server[];
  /** Servers with another status, mode, weight or address, as they are now. */
  readonly changed: readonly Server[];
}

export interface Failover {
  readonly group: string;
  readonly from: Server;
  readonly to: Server;
}

export interface ServerUp {
  readonly server: Server;
}

export interface ServerDown {
  readonly server: Server;
  readonly reason: 'unreachable' | 'not-listed';
  /** Of the connect that failed, such as ECONNREFUSED; null when it is not listed. */
  readonly code: string | null;
}

export interface PoolEvent {
  readonly server: Server;
}

export interface PoolSaturated extends PoolEvent {
  /** What a caller was refused with; null: they wait. */
  readonly code: FabricErrorCode | null;
}

/** `on` and its like, as ours have them besides mysql2's. */
export interface Tells {
  on<Name extends FabricEventName>(event: Name, listener: (detail: FabricEvents[Name]) => void): this;
  once<Name extends FabricEventName>(event: Name, listener: (detail: FabricEvents[Name]) => void): this;
  off<Name extends FabricEventName>(event: Name, listener: (detail: FabricEvents[Name]) => void): this;
}

const NAMES: readonly FabricEventName[] = [
  'topology',
  'failover',
  'server-up',
  'server-down',
  'pool-saturated',
  'pool-relieved',
  'pool-drained',
];
const channels = Object.fromEntries(NAMES.map(name => [name, channel(`mysql2-fabric:${name}`)])) as Record<
  FabricEventName,
  Channel
>;

/** Looks, a second apart, at which somebody must wait before the pool counts as saturated. */
const SATURATED_LOOKS = 2;

/** Makes events of what the session hears. Nothing of it is on the path of a statement that succeeds. */
export class Announcer {
  #emitter: EventEmitter | undefined;
  /** By group; it outlasts a time without a primary. */
  readonly #primaries = new Map<string, Server>();
  /** By group: the uuids of its servers. */
  readonly #listed = new Map<string, ReadonlySet<string>>();
  /** Those of them that cannot be connected to. */
  readonly #down = new Set<string>();
  /** By server: looks in a row at which somebody waited. */
  readonly #waited = new Map<string, number>();

  /** Who emits the events. */
  tellBy(emitter: EventEmitter): void {
    this.#emitter = emitter;
  }

  topologyChanged(topology: Topology, before: Topology | undefined): void {
    const { group } = topology;
    const change = difference(topology, before);
    if (topology.servers.length === 0) this.#listed.delete(group);
    else this.#listed.set(group, new Set(topology.servers.map(({ uuid }) => uuid)));
    this.#tell('topology', { group, before: before ?? null, topology, ...change });
    const to = topology.servers.find(({ status }) => status === STATUS_PRIMARY);
    const from = this.#primaries.get(group);
    if (to !== undefined) this.#primaries.set(group, to);
    if (to !== undefined && from !== undefined && to.uuid !== from.uuid) this.#tell('failover', { group, from, to });
    if (before === undefined) return;
    for (const server of change.removed) {
      if (!this.#down.delete(server.uuid)) this.#tell('server-down', { server, reason: 'not-listed', code: null });
    }
    for (const server of change.added) this.#tell('server-up', { server });
  }

  connected(server: Server): void {
    if (this.#down.size > 0 && this.#down.delete(server.uuid)) this.#tell('server-up', { server });
  }

  unreachable(server: Server, { errno, code }: StatementError): void {
    const { uuid, group } = server;
    if (this.#down.has(uuid) || !this.#listed.get(group)?.has(uuid)) return;
    this.#down.add(uuid);
    this.#tell('server-down', { server, reason: 'unreachable', code: String(code ?? errno ?? '') });
  }

  /** @param waiting callers that wait for a connection to the server; called at regular looks. */
  waiting(server: Server, waiting: number): void {
    const looks = this.#waited.get(server.uuid) ?? 0;
    if (waiting === 0) {
      if (this.#waited.delete(server.uuid) && looks >= SATURATED_LOOKS) this.#tell('pool-relieved', { server });
    } else {
      this.#waited.set(server.uuid, looks + 1);
      if (looks + 1 === SATURATED_LOOKS) this.#tell('pool-saturated', { server, code: null });
    }
  }

  /** A caller was refused a connection, or waited for one in vain. */
  refused(server: Server, { code }: FabricError): void {
    if (code !== 'FABRIC_QUEUE_LIMIT' && code !== 'FABRIC_TIMEOUT') return;
    const looks = this.#waited.get(server.uuid) ?? 0;
    this.#waited.set(server.uuid, Math.max(looks, SATURATED_LOOKS));
    if (looks < SATURATED_LOOKS) this.#tell('pool-saturated', { server, code });
  }

  drained(server: Server): void {
    this.#waited.delete(server.uuid);
    this.#tell('pool-drained', { server });
  }

  /** Later, so that listeners find everything as the event says, and in the order of what happened. */
  #tell<Name extends FabricEventName>(name: Name, detail: FabricEvents[Name]): void {
    const emitter = this.#emitter;
    const published = channels[name].hasSubscribers;
    const heard = emitter !== undefined && emitter.listenerCount(name) > 0;
    if (!published && !heard) return;
    process.nextTick(() => {
      if (published) channels[name].publish(detail);
      if (heard) deliver(emitter, name, detail);
    });
  }
}

/** A listener that throws is a warning of the process: neither the others nor the routing are the worse for it. */
function deliver(emitter: EventEmitter, name: FabricEventName, detail: unknown): void {
  for (const listener of emitter.rawListeners(name)) {
    try {
      listener.call(emitter, detail);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.emitWarning(`A listener of '${name}' threw ${text}`, 'FabricListenerWarning');
    }
  }
}

/** What `core` tells, `wrapper` tells too, for as long as somebody listens there; as mysql2's wrappers do with mysql2's events. */
export function passOn(core: EventEmitter, wrapper: EventEmitter): void {
  const passing = new Map<string | symbol, (detail: unknown) => void>();
  wrapper.on('newListener', (name: string | symbol) => {
    if (passing.has(name) || !isOurs(name)) return;
    const pass = (detail: unknown): void => deliver(wrapper, name, detail);
    passing.set(name, pass);
    core.on(name, pass);
  });
  wrapper.on('removeListener', (name: string | symbol) => {
    const pass = passing.get(name);
    if (pass === undefined || wrapper.listenerCount(name) > 0) return;
    passing.delete(name);
    core.off(name, pass);
  });
}

function isOurs(name: string | symbol): name is FabricEventName {
  return Object.hasOwn(channels, name);
}

function difference(
  topology: Topology,
  before: Topology | undefined,
): Pick<TopologyChange, 'added' | 'removed' | 'changed'> {
  const old = new Map(before?.servers.map(server => [server.uuid, server]));
  const now = new Set(topology.servers.map(({ uuid }) => uuid));
  return {
    added: topology.servers.filter(({ uuid }) => !old.has(uuid)),
    removed: [...old.values()].filter(({ uuid }) => !now.has(uuid)),
    changed: topology.servers.filter(server => {
      const was = old.get(server.uuid);
      return was !== undefined && !sameServer(was, server);
    }),
  };
}
