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

/** Takes at most `timeout` ms. Never rejects. */
export async function inspectGroup(group: GroupRecord, timeout: number, context: Parts): Promise<Finding[]> {
  const talks = new Map(group.servers.map(server => [server.uuid, createTalk(server, timeout, context)]));
  const source = group.primary === null ? undefined : talks.get(group.primary);
  try {
    return await Promise.all(
      [...talks].map(async ([uuid, talk]) => {
        const answer = await talk.answer;
        // Asked after it: what it has got from the primary is in the primary's set by now, and only errant transactions are left over.
        const reference = uuid === group.primary ? answer.told?.executed : answer.told && (await source?.executed());
        return judged(answer, group, reference ?? null);
      }),
    );
  } finally {
    for (const talk of talks.values()) talk.close();
  }
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

interface Talk {
  readonly answer: Promise<Answer>;
  /** null: it does not answer any more. */
  executed(): Promise<string | null>;
  close(): void;
}

/** On a session of its own, and all of it within `timeout` ms. */
function createTalk(server: ServerRecord, timeout: number, { replication }: Parts): Talk {
  const over = new AbortController();
  const connecting = replication.connect(server, timeout);
  const late = sleep(timeout, undefined, { signal: over.signal }).then(
    () => Promise.reject(new Error(`no answer within ${timeout} ms`)),
    () => new Promise<never>(() => {}),
  );
  late.catch(() => {});
  const bounded = <T>(work: (session: ManagedServer) => Promise<T>) => Promise.race([connecting.then(work), late]);
  return {
    answer: bounded(tell).then(
      told => ({ server, told, problem: '' }),
      error => ({ server, told: null, problem: error instanceof Error ? error.message : String(error) }),
    ),
    executed: () => bounded(session => session.executed()).catch(() => null),
    close() {
      over.abort();
      connecting.then(
        session => session.close(),
        () => {},
      );
    },
  };
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
