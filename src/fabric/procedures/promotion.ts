import { MODE_READWRITE, STATUS_FAULTY, STATUS_PRIMARY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError, ended } from '../errors.js';
import { phrases } from '../model.js';
import { AdminError, type ManagedServer } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import type { Donor } from './candidates.js';
import { changeGroup, requireGroup, requireServer, withServer } from './group-record.js';
import type { Step, StepContext } from './run.js';

/** What every promotion shares, planned or not: its data, opening the candidate, and the commit. */

/** What the steps of a promotion hand on to each other. Servers are named by uuid. */
export type Promotion = {
  readonly group: string;
  /** As it was asked for: uuid or `host:port`; null: to be chosen. */
  readonly asked: string | null;
  readonly updateOnly: boolean;
  kind: 'undecided' | 'switchover' | 'failover' | 'store only' | 'fence only' | 'nothing';
  /** The group before the promotion. */
  before: GroupRecord | null;
  /** The primary that is replaced; null: the group has none. */
  old: string | null;
  /** All that the old primary has executed since it was fenced; null: unknown, it could not be reached. */
  oldExecuted: string | null;
  /** Failover: the servers that may be promoted, best first. */
  order: string[];
  chosen: string | null;
  /** Failover: candidates and spares, with all that they have applied. */
  donors?: readonly Donor[];
  /** Failover of a group without a primary: servers whose receivers were stopped. */
  paused?: string[];
  /** Failover: the server that was named takes writes already. */
  inUse?: boolean;
  /** Failover: servers that `update_only` put into the group, and that were found to follow the old primary. */
  placed?: string[];
  /** It is the node's decision, not an operator's: servers that are an operator's affair are left alone. */
  readonly automatic: boolean;
  /** Whether the lost primary itself may come back when there is nobody else: a failed failover leaves no group without a primary. */
  readonly mayReturn: boolean;
  /** Whether probes and witnesses say that the old primary is gone, so that it is not waited for. */
  readonly believedDead: boolean;
};

export function newPromotion(group: string, given: Partial<Promotion>): Promotion {
  return {
    group,
    asked: null,
    updateOnly: false,
    kind: 'undecided',
    before: null,
    old: null,
    oldExecuted: null,
    order: [],
    chosen: null,
    automatic: false,
    mayReturn: false,
    believedDead: false,
    ...given,
  };
}

/** The original's sentence, and why each server was passed over. */
export function noCandidate(group: string, reasons: readonly string[]): CommandError {
  return new CommandError('GroupError', [phrases.noCandidate(group), ...reasons].join(' '));
}

/** A server accepts writes, and will not be told to stop: nobody may be opened beside it (invariant 1). */
export class Unfenced extends CommandError {
  constructor(uuid: string, cause: unknown) {
    const wayOut = 'Please, let this account log in and its clients end, or stop the server.';
    super('ServerError', `Server (${uuid}) answers and could not be fenced: ${ended(describe(cause))} ${wayOut}`, {
      cause,
    });
  }
}

/** Whether it is the answer of a server that goes on. */
export function isAlive(error: unknown): boolean {
  return error instanceof AdminError && !error.unreachable && error.code !== 'ER_SERVER_SHUTDOWN';
}

/** An error as part of a sentence. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** ms for the connection to a server that should be there. */
export function patience({ options }: StepContext): number {
  return options.servers.unreachableTimeout * 1000;
}

/** ms for the connection to a server that may be gone. */
export function shortPatience({ options }: StepContext): number {
  return options.failureTracking.detectionTimeout * 1000;
}

/** ms in which a server has to apply what it has received, or receive what is there. */
export const CATCH_UP = 10_000;

/** The stored record of a server whose place in the group an earlier step has checked. */
export async function recordOf(uuid: string | null, data: Promotion, context: StepContext): Promise<ServerRecord> {
  if (uuid === null) throw new CommandError('InternalError', `Group (${data.group}) has no chosen server.`);
  return requireServer(await requireGroup(context, data.group), uuid);
}

/** The server stops being a replica and accepts writes. */
export async function open(server: ManagedServer): Promise<void> {
  await server.forgetSource();
  await server.setSemiSync('primary');
  await server.unfence();
}

/**
 * Writes are refused again on a server whose promotion failed. One that cannot be told is out of the group until it is fenced:
 * the store never called it primary, so no client writes to it meanwhile (invariant 1).
 */
export async function shut(uuid: string, data: Promotion, context: StepContext): Promise<void> {
  const record = await recordOf(uuid, data, context);
  try {
    const server = await context.sessions.to(record, shortPatience(context));
    await server.fence();
    await server.killClients();
  } catch (error) {
    const sentence = `server ${uuid} of group ${data.group} could not be fenced after its promotion failed: ${describe(error)}`;
    decided(context, { group: data.group, server: uuid, event: 'faulty', level: 'warn', sentence });
    await changeGroup(context, data.group, group =>
      withServer(group, uuid, { status: STATUS_FAULTY, needsFencing: true }),
    );
  }
}

/** Clients see the new primary from here on, so it comes before the others are repointed; nothing after it takes it back. */
export const commit: Step<Promotion> = {
  name: 'make the candidate the primary in the state store',
  final: true,
  async run(data, context) {
    // Done before the node was killed: clients may have written to it since, so nothing of this may be taken back.
    if (await isPrimary(data.chosen, data, context)) return;
    const record = await recordOf(data.chosen, data, context);
    const server = await context.sessions.to(record, patience(context));
    const baseline = await server.executed();
    const group = await changeGroup(context, data.group, stored =>
      promoted(stored, data, baseline, context.now()),
    ).catch(async error => {
      // The store may have taken it without saying so.
      if (await isPrimary(data.chosen, data, context)) return requireGroup(context, data.group);
      throw error;
    });
    const sentence = `server ${record.uuid} (${record.host}:${record.port}) is the primary of group ${group.id}, after ${data.old ?? 'none'}`;
    decided(context, { group: group.id, server: record.uuid, event: 'promoted', sentence });
  },
  async undo(data, context) {
    const { before, chosen } = data;
    if (!before || !chosen) return;
    const previous = requireServer(before, chosen);
    // A lost primary is tried to be replaced again; after a switchover it is put back by the steps before.
    const primary = data.kind === 'switchover' ? null : before.primary;
    await changeGroup(context, data.group, group =>
      group.primary === chosen ? { ...withServer(group, chosen, previous), primary } : group,
    );
  },
};

/** Whether clients see this server as the primary. */
export async function isPrimary(uuid: string | null, data: Promotion, context: StepContext): Promise<boolean> {
  const { primary, servers } = await requireGroup(context, data.group);
  return primary === uuid && servers.some(server => server.uuid === uuid && server.status === STATUS_PRIMARY);
}

function promoted(stored: GroupRecord, data: Promotion, baseline: string, now: number): GroupRecord {
  const chosen = data.chosen ?? '';
  refuseOvertaken(stored, data);
  const change = { status: STATUS_PRIMARY, mode: MODE_READWRITE, needsFencing: false, byHand: false } as const;
  const over = ({ uuid, status }: ServerRecord) =>
    !data.automatic || status === STATUS_FAULTY || data.placed?.includes(uuid);
  const tended = stored.servers.map(server => (over(server) ? { ...server, byHand: false } : server));
  return {
    ...withServer({ ...stored, servers: tended }, chosen, change),
    primary: chosen,
    primarySince: now,
    baseline,
  };
}

/**
 * Invariant 1, whoever else works on the store: until here the group has no primary, or the old one, which is FAULTY.
 * @throws CommandError naming the server that takes the writes by now.
 */
function refuseOvertaken({ id, primary, servers }: GroupRecord, { old, chosen }: Promotion): void {
  const current = servers.find(({ uuid }) => uuid === primary);
  if (!current || (current.uuid === old && current.status === STATUS_FAULTY)) return;
  const sentence = `Server (${chosen}) was not promoted: server (${current.uuid}) has become the primary of group (${id}) meanwhile.`;
  throw new CommandError('GroupError', sentence);
}
