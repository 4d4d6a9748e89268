import { STATUS_FAULTY } from '../wire/topology.js';
import type { Context } from './context.js';
import type { Prober } from './prober.js';
import { accept, isInPlace } from './procedures/by-hand.js';
import { errantSince } from './procedures/candidates.js';
import { learn } from './procedures/learn.js';
import { reattach } from './procedures/reattach.js';
import { reopen } from './procedures/reopen.js';
import type { Runner } from './procedures/runner.js';
import { type ManagedServer, refusesWrites } from './replication/replication.js';
import type { GroupRecord, ServerRecord } from './store/store.js';

/**
 * Gives a server that was away for a moment its place again. One that has restarted may have forgotten it: a secondary may be writable, or
 * follow nobody; a primary may refuse writes.
 */
export interface Caretaker {
  /**
   * Looks after the server, which answers now, as its group is stored. Never rejects.
   * @param doubted uuids of the servers that may be gone. A secondary waits while its primary is one of them; a primary while anybody is, who
   *   may know of transactions that it has lost.
   */
  tend(group: GroupRecord, doubted: { has(uuid: string): boolean }): Promise<void>;
}

/** Where the server was known to be right, and still is, while nothing of this changes. */
interface Place {
  /** As long as this connection is unbroken the server has not restarted. */
  readonly sentinel: object;
  /** uuid: itself, or whom it follows. */
  readonly primary: string | null;
  /** Epoch ms at which it was started, as far as it tells. */
  readonly startedAt: number;
}

/** ms by which what is known of one start may vary: a server counts whole seconds, and its answer takes a moment. */
const SAME_START = 1_100;

/** ms until it is tried again to give a server its place, when the next look has failed at it, too. */
const FIRST_PAUSE = 1_000;
const LAST_PAUSE = 60_000;
/** Meanwhile nobody takes writes. */
const LAST_PRIMARY_PAUSE = 4_000;

export function createCaretaker(uuid: string, prober: Prober, context: Context, runner: Runner): Caretaker {
  let place: Place | undefined;
  /** It could not be given its place, and is not to be before `again`. */
  let failed: (Omit<Place, 'startedAt'> & { readonly again: number; readonly pause: number }) | undefined;
  let tending = false;

  async function tend(group: GroupRecord, doubted: { has(uuid: string): boolean }): Promise<void> {
    const { sentinel } = prober;
    if (sentinel === undefined || runner.busy(group.id)) return;
    if (await isByHand(group)) return;
    if (group.primary === uuid) await learnFrom(group);
    if (sentinel === place?.sentinel && group.primary === place.primary) return;
    const before = sentinel === failed?.sentinel && group.primary === failed.primary ? failed : undefined;
    if (before && performance.now() < before.again) return;
    const needed = othersNeeded(group);
    if (needed === null || needed.some(server => doubted.has(server.uuid))) return;
    const uptime = await prober.ask(server => server.uptime());
    if (uptime === null) return;
    const found = { sentinel, primary: group.primary, startedAt: context.now() - uptime * 1_000 };
    const restarted = found.startedAt > (place?.startedAt ?? group.primarySince ?? 0) + SAME_START;
    const right = await isRight(found, restarted);
    if (right) place = found;
    if (right !== false) return;
    const request = { group: group.id, server: uuid };
    const { error } = await runner.run(group.primary === uuid ? reopen(request) : reattach(request)).done;
    if (error === null) place = found;
    else
      failed = {
        ...found,
        again: performance.now() + (before?.pause ?? 0),
        pause: pauseAfter(before?.pause, group.primary === uuid),
      };
  }

  /** Whether the server's place is an operator's affair; seen in it, it is the node's from now on. */
  async function isByHand({ id, primary, servers }: GroupRecord): Promise<boolean> {
    const marked = servers.filter(({ byHand }) => byHand).map(server => server.uuid);
    if (primary !== uuid && marked.includes(primary ?? '')) return true;
    if (!marked.includes(uuid)) return false;
    const lost = servers.some(server => server.uuid === primary && server.status === STATUS_FAULTY);
    const inPlace =
      primary !== null && !lost && (await prober.ask(server => isInPlace(server, primary === uuid ? null : primary)));
    if (inPlace) await runner.run(accept({ group: id, server: uuid })).done;
    return true;
  }

  async function learnFrom({ id, baseline }: GroupRecord): Promise<void> {
    const executed = baseline !== null && (await prober.ask(server => server.executed()));
    if (executed && errantSince(executed, uuid, baseline) !== '')
      await runner.run(learn({ group: id, server: uuid })).done;
  }

  /** null: nobody can give it its place now. */
  function othersNeeded({ primary, servers }: GroupRecord): readonly ServerRecord[] | null {
    const alive = servers.filter(({ status }) => status !== STATUS_FAULTY);
    if (primary === uuid) return alive;
    const source = alive.filter(server => server.uuid === primary);
    return source.length === 0 ? null : source;
  }

  /** null: it cannot be asked now. */
  async function isRight({ primary, sentinel }: Place, restarted: boolean): Promise<boolean | null> {
    // Who has not restarted and is read-only, or does not replicate, was made so by an operator.
    if (primary === uuid) return restarted ? await prober.ask(isOpen) : true;
    if (place !== undefined && place.sentinel !== sentinel) return false;
    // Whom it follows while nothing changes is an operator's affair, too.
    const source = place?.primary === primary ? null : primary;
    return await prober.ask(server => isReplica(server, restarted, source));
  }

  return {
    async tend(group, doubted) {
      if (tending) return;
      tending = true;
      await tend(group, doubted).finally(() => {
        tending = false;
      });
    },
  };
}

/** ms until the attempt after the next one, which may be made at once. @param pause before the next one. */
export function pauseAfter(pause: number | undefined, isPrimary: boolean): number {
  return pause ? Math.min(pause * 2, isPrimary ? LAST_PRIMARY_PAUSE : LAST_PAUSE) : FIRST_PAUSE;
}

async function isOpen(server: ManagedServer): Promise<boolean> {
  const semiSync = await server.semiSync();
  return !(await server.identity()).readOnly && (semiSync === null || semiSync.role === 'primary');
}

/** @param source uuid of the server that it must follow; null: any. */
async function isReplica(server: ManagedServer, mustRun: boolean, source: string | null): Promise<boolean> {
  const identity = await server.identity();
  const status = await server.replicaStatus();
  if (!refusesWrites(identity) || status === null) return false;
  if (source !== null && status.sourceUuid.toLowerCase() !== source) return false;
  return !mustRun || status.ioThread !== 'stopped' || status.sqlThread !== 'stopped';
}
