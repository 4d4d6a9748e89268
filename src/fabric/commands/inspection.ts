import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../context.js';
import { beyond, errantSince } from '../procedures/candidates.js';
import type { ManagedServer, ReplicaStatus, SemiSync, ServerIdentity } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';

/** Asks each server of a group how it is, each on a session of its own, all at the same time. */

/** What a server said of itself. */
export interface Told {
  readonly identity: ServerIdentity;
  /** null: not configured as a replica. */
  readonly replica: ReplicaStatus | null;
  /** GTID set. */
  readonly executed: string;
  /** null: its plugins are not loaded. */
  readonly semiSync: SemiSync | null;
}

export interface Finding {
  readonly server: ServerRecord;
  readonly isPrimary: boolean;
  /** null: it could not be asked, for the reason in `problem`. */
  readonly told: Told | null;
  readonly problem: string;
  /** What the primary has and it lacks; null: unknown. */
  readonly missing: string | null;
  /** What it has and the primary lacks; null: unknown. */
  readonly errant: string | null;
}

type Parts = Pick<Context, 'replication'>;
type Answer = Pick<Finding, 'server' | 'told' | 'problem'>;

/** Takes at most twice `timeout` ms. Never rejects. */
export async function inspectGroup(group: GroupRecord, timeout: number, context: Parts): Promise<Finding[]> {
  const record = group.servers.find(({ uuid }) => uuid === group.primary);
  const others = await Promise.all(
    group.servers.map(server => (server === record ? null : ask(server, timeout, context))),
  );
  // Asked after the others: what they have got from it is in its set by now, and only errant transactions are left over.
  const primary = record ? await ask(record, timeout, context) : null;
  const reference = primary?.told?.executed ?? null;
  return others.map(answer => judged(answer ?? (primary as Answer), group, reference));
}

function judged({ server, told, problem }: Answer, group: GroupRecord, reference: string | null): Finding {
  const isPrimary = server.uuid === group.primary;
  const known = told && reference !== null;
  const missing = known ? beyond(reference, told.executed) : null;
  const errant = known ? beyond(told.executed, reference) : sinceLost(told, group);
  return { server, isPrimary, told, problem, missing, errant };
}

/** The primary cannot be asked: what neither it wrote nor was there when it was promoted. */
function sinceLost(told: Told | null, { primary, baseline }: GroupRecord): string | null {
  return told && primary !== null && baseline !== null ? errantSince(told.executed, primary, baseline) : null;
}

async function ask(server: ServerRecord, timeout: number, { replication }: Parts): Promise<Answer> {
  const late = new AbortController();
  let session: ManagedServer | undefined;
  const talk = async () => {
    session = await replication.connect(server, timeout);
    if (late.signal.aborted) throw new Error(`no answer within ${timeout} ms`);
    return await tell(session);
  };
  const guard = sleep(timeout, undefined, { signal: late.signal }).then(
    () => Promise.reject(new Error(`no answer within ${timeout} ms`)),
    () => new Promise<never>(() => {}),
  );
  try {
    return { server, told: await Promise.race([talk(), guard]), problem: '' };
  } catch (error) {
    return { server, told: null, problem: error instanceof Error ? error.message : String(error) };
  } finally {
    late.abort();
    session?.close();
  }
}

async function tell(session: ManagedServer): Promise<Told> {
  const [identity, replica, executed, semiSync] = await Promise.all([
    session.identity(),
    session.replicaStatus(),
    session.executed(),
    session.semiSync(),
  ]);
  return { identity, replica, executed, semiSync };
}
