import { type GroupRecord, type ServerRecord, StoreConflict } from './store.js';

/**
 * All groups in memory, with what is needed to find and to check them. It is the memory store's data; the stores with a database keep it as
 * their picture of what is stored. Values are frozen, so they are handed out without copying.
 */
export interface GroupTable {
  /** Of the newest change in it. */
  readonly revision: number;
  get(id: string): GroupRecord | undefined;
  /** By uuid or {@link addressKey}. */
  ofServer(key: string): GroupRecord | undefined;
  /** Ordered by id. */
  all(): readonly GroupRecord[];
  /** @throws StoreConflict when this is not the group's version. */
  current(id: string, version: number): GroupRecord;
  /**
   * The value that will follow, not in the table yet. Versions come from the revision, so that a group made anew never takes up an old one.
   * @throws StoreConflict when a server is in another group, or twice in this one.
   */
  next(group: Omit<GroupRecord, 'version'>): GroupRecord;
  /** One change: the revision grows by one. */
  replace(previous: GroupRecord | undefined, next: GroupRecord | undefined): void;
  /** What somebody else has changed. */
  load(changed: readonly GroupRecord[], gone: readonly string[], revision: number): void;
}

/** Always has a colon, as no uuid has. */
export function addressKey({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.toLowerCase()}:${port}`;
}

function frozenGroup(group: GroupRecord): GroupRecord {
  const servers = group.servers.map(server => Object.freeze({ ...server })).sort((a, b) => compare(a.uuid, b.uuid));
  return Object.freeze({ ...group, servers: Object.freeze(servers) });
}

export function createGroupTable(): GroupTable {
  const byId = new Map<string, GroupRecord>();
  const groupIdOf = new Map<string, string>();
  let revision = 0;
  let sorted: readonly GroupRecord[] | undefined;

  const remove = (group: GroupRecord) => {
    for (const key of group.servers.flatMap(keysOf)) if (groupIdOf.get(key) === group.id) groupIdOf.delete(key);
    byId.delete(group.id);
  };
  const insert = (group: GroupRecord) => {
    byId.set(group.id, group);
    for (const key of group.servers.flatMap(keysOf)) groupIdOf.set(key, group.id);
  };
  const get = (id: string) => byId.get(id);

  return {
    get revision() {
      return revision;
    },
    get,
    ofServer: key => byId.get(groupIdOf.get(key) ?? ''),
    all() {
      sorted ??= Object.freeze([...byId.values()].sort((a, b) => compare(a.id, b.id)));
      return sorted;
    },
    current(id, version) {
      const group = byId.get(id);
      if (group?.version !== version) throw new StoreConflict(`group ${id} was changed by somebody else`);
      return group;
    },
    next(group) {
      refuseTakenServers(group, groupIdOf);
      return frozenGroup({ ...group, version: revision + 1 });
    },
    replace(previous, next) {
      if (previous) remove(previous);
      if (next) insert(next);
      revision += 1;
      sorted = sorted && Object.freeze(spliced(sorted, previous, next));
    },
    load(changed, gone, newest) {
      // First all that leave: a server may have moved from one of these groups to another.
      for (const id of [...gone, ...changed.map(group => group.id)]) {
        const known = get(id);
        if (known) remove(known);
      }
      for (const group of changed) insert(group);
      revision = newest;
      sorted = undefined;
    },
  };
}

/** The list with one value less, more or other: with thousands of groups much quicker than sorting again. */
function spliced(list: readonly GroupRecord[], old?: GroupRecord, next?: GroupRecord): GroupRecord[] {
  const id = (next ?? old)?.id ?? '';
  return list.toSpliced(position(list, id), old ? 1 : 0, ...(next ? [next] : []));
}

/** Where the group with this id is, or would be. */
function position(list: readonly GroupRecord[], id: string): number {
  let low = 0;
  for (let high = list.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if (compare(list[middle]?.id ?? '', id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function keysOf(server: ServerRecord): readonly string[] {
  return [server.uuid, addressKey(server)];
}

function refuseTakenServers(group: Omit<GroupRecord, 'version'>, groupIdOf: ReadonlyMap<string, string>): void {
  const seen = new Set<string>();
  for (const key of group.servers.flatMap(keysOf)) {
    const owner = groupIdOf.get(key);
    if (owner !== undefined && owner !== group.id) throw new StoreConflict(`server ${key} is in group ${owner}`);
    if (seen.has(key)) throw new StoreConflict(`server ${key} is twice in group ${group.id}`);
    seen.add(key);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
