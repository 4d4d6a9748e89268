import { LRUCache } from 'lru-cache';
import type { Server, Topology } from '../wire/topology.js';
import type { Known } from './explain.js';

/**
 * The topology of each group: get, peek, forget. One fetch at a time per group, shared by all who wait; a topology past its TTL is served
 * while it is refreshed, and for as long as no Fabric node answers.
 */
export interface TopologyCache {
  /** In memory: at once, and stale rather than not at all (a refresh is then under way). undefined: never fetched, or forgotten. */
  peek(group: string): Topology | undefined;
  /** The topology, fetched unless it is fresh. Rejects only when it cannot be fetched and was never known. */
  get(group: string): Promise<Topology>;
  /** What is known is in doubt: `get` and `peek` no longer serve it without asking a node (it stays the answer of last resort). */
  forget(group: string): void;
  /** Asks a node now, or joins the one who does. */
  refresh(group: string): Promise<Topology>;
  /** What is known of the group, and how well; changes nothing. */
  inspect(group: string): Known | undefined;
}

export interface TopologyCacheOptions {
  /** Asks a Fabric node. */
  readonly fetch: (group: string) => Promise<Topology>;
  /** ms; null: each topology's own `ttl`. */
  readonly ttl: number | null;
  /** Hears each topology that differs from the one before it. */
  readonly onChange: (topology: Topology, before: Topology | undefined) => void;
}

/** More groups than any application routes to; bounds the memory when group names come from outside. */
const MAX_GROUPS = 1_000;
/** ms between background refreshes while no Fabric node answers: a node that is down must cost a running application nothing. */
const RETRY_INTERVAL = 1_000;
/** ms that a node may take to answer before what is known, in doubt as it is, is served again. */
const PATIENCE = 500;

/** ms for which lru-cache believes its last look at the clock; a timer ends that, and one every ms would cost 1 of 10 sequential statements. */
const CLOCK_RESOLUTION = 20;

export function createTopologyCache({ fetch, ttl, onChange }: TopologyCacheOptions): TopologyCache {
  const doubted = new Set<string>();
  const failedAt = new Map<string, number>();
  /** Groups whose refresh is under way for longer than `PATIENCE`. */
  const hanging = new Set<string>();
  /** `performance.now()` when a node last confirmed it. */
  const fetchedAt = new WeakMap<Topology, number>();
  const cache = new LRUCache<string, Topology>({
    max: MAX_GROUPS,
    ttl: ttl ?? 1_000,
    perf: { now: () => performance.now() },
    ttlResolution: CLOCK_RESOLUTION,
    noDeleteOnStaleGet: true,
    noDeleteOnFetchRejection: true,
    async fetchMethod(group, before, { options }) {
      const fetched = await fetch(group);
      options.ttl = Math.max(1, ttl ?? fetched.ttl * 1_000);
      doubted.delete(group);
      failedAt.delete(group);
      fetchedAt.set(before !== undefined && sameServers(before, fetched) ? before : fetched, performance.now());
      if (before !== undefined && sameServers(before, fetched)) return before;
      onChange(fetched, before);
      return fetched;
    },
  });
  const known = (group: string): Topology | undefined => cache.get(group, { allowStale: true });

  const refresh = (group: string): Promise<Topology> => cache.forceFetch(group, { forceRefresh: true });

  /** No node answers: what is known is served without asking until the next try is due. */
  const failed = (group: string): void => {
    doubted.delete(group);
    failedAt.set(group, performance.now());
  };
  const failedLately = (group: string): boolean => {
    const at = failedAt.get(group);
    return at !== undefined && performance.now() - at < RETRY_INTERVAL;
  };

  /** The refreshed topology, or `before` when no node answers in time. */
  const refreshed = (group: string, before: Topology): Promise<Topology> =>
    new Promise(resolve => {
      const timer = setTimeout(() => {
        hanging.add(group);
        resolve(before);
      }, PATIENCE);
      const settled = (topology: Topology): void => {
        clearTimeout(timer);
        hanging.delete(group);
        resolve(topology);
      };
      refresh(group).then(settled, () => {
        failed(group);
        settled(before);
      });
    });

  return {
    peek(group) {
      const topology = known(group);
      if (topology === undefined || (doubted.size > 0 && doubted.has(group) && !hanging.has(group))) return undefined;
      if (cache.getRemainingTTL(group) <= 0 && !failedLately(group)) refresh(group).catch(() => failed(group));
      return topology;
    },
    async get(group) {
      const topology = known(group);
      if (topology !== undefined) {
        if (failedLately(group) || hanging.has(group)) return topology;
        if (!doubted.has(group) && cache.getRemainingTTL(group) > 0) return topology;
        return refreshed(group, topology);
      }
      return refresh(group);
    },
    forget(group) {
      if (cache.has(group)) doubted.add(group);
    },
    refresh,
    inspect(group) {
      const topology = cache.peek(group, { allowStale: true });
      if (topology === undefined) return undefined;
      return {
        topology,
        age: performance.now() - (fetchedAt.get(topology) ?? 0),
        ttl: ttl ?? topology.ttl * 1_000,
        inDoubt: doubted.has(group),
        unconfirmed: failedLately(group) || hanging.has(group),
      };
    },
  };
}

/** Two fetches that say the same are one value, so that whoever holds on to it (routes, balancers) need not start anew. */
function sameServers(a: Topology, b: Topology): boolean {
  return (
    a.ttl === b.ttl &&
    a.servers.length === b.servers.length &&
    a.servers.every((server, i) => sameServer(server, b.servers[i]))
  );
}

export function sameServer(a: Server, b: Server | undefined): boolean {
  return (
    b !== undefined &&
    a.uuid === b.uuid &&
    a.host === b.host &&
    a.port === b.port &&
    a.mode === b.mode &&
    a.status === b.status &&
    a.weight === b.weight
  );
}
