import { setTimeout as sleep } from 'node:timers/promises';
import { STATUS_FAULTY, STATUS_SECONDARY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { type AdminError, type ManagedServer, refusesWrites } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { isInPlace } from './by-hand.js';
import { type Applicant, type Donor, errantSince, holds } from './candidates.js';
import { acknowledges, drain, PassedOver, passedOver } from './drain.js';
import { refuseReplaced, requireServer } from './group-record.js';
import { CATCH_UP, describe, isAlive, type Promotion, shortPatience, Unfenced } from './promotion.js';
import type { StepContext } from './run.js';

/** What a failover learns of the servers that are left: who answers, what each has applied, and why some are out of the question. */

export interface Survey {
  readonly valid: readonly Donor[];
  /** A sentence for each server that was passed over, by uuid. */
  readonly excluded: ReadonlyMap<string, string>;
  /** Those that were passed over, and may alone have what was acknowledged, with all that they hold. */
  readonly late: readonly Applicant[];
  /** Spares: no candidates, but they may have what these lack. */
  readonly donors: readonly Donor[];
}

/**
 * Asks all at once; a server that does not answer costs the short patience once, not each. Invariant 1: whoever accepts writes is fenced, whatever
 * the store says of it, before another one is opened; and before it is looked at, so that what it has written counts.
 * @throws CommandError when it answers and cannot be fenced.
 */
export async function survey(data: Promotion, group: GroupRecord, context: StepContext): Promise<Survey> {
  const asked = askedIn(group, data);
  const isCandidate = ({ uuid, status }: ServerRecord) => status === STATUS_SECONDARY || uuid === asked;
  const servers = group.servers.filter(({ uuid, status }) => uuid !== data.old && status !== STATUS_FAULTY);
  const rush = createRush();
  if (data.oldExecuted !== null) rush.through.push(data.oldExecuted);
  const answers = await Promise.allSettled(
    servers.map(server => examine(server, isCandidate(server), rush, data, group, context)),
  );
  const found = { valid: [] as Donor[], excluded: new Map<string, string>(), late: [] as Applicant[] };
  const donors: Donor[] = [];
  for (const [index, answer] of answers.entries()) {
    const server = servers[index] as ServerRecord;
    if (answer.status === 'fulfilled') (isCandidate(server) ? found.valid : donors).push(answer.value);
    else if (answer.reason instanceof Unfenced) throw answer.reason;
    else exclude(server, isCandidate(server), answer.reason, found);
  }
  if (data.inUse) await askAgain(found.valid, asked, group, context);
  return { ...found, donors };
}

/** One in use has written more meanwhile, which the others have from it. */
async function askAgain(valid: Donor[], asked: string | null, group: GroupRecord, context: StepContext): Promise<void> {
  const index = valid.findIndex(({ uuid }) => uuid === asked);
  const donor = valid[index];
  if (!donor) return;
  const server = await context.sessions.to(requireServer(group, donor.uuid), shortPatience(context));
  valid[index] = { ...donor, executed: await server.executed() };
}

function exclude(
  { uuid, weight, host, port }: ServerRecord,
  isCandidate: boolean,
  reason: unknown,
  { excluded, late }: { excluded: Map<string, string>; late: Applicant[] },
): void {
  excluded.set(uuid, `${isCandidate ? 'Server' : 'Spare'} (${uuid}, ${host}:${port}): ${describe(reason)}.`);
  if (reason instanceof PassedOver && reason.counts) late.push({ uuid, weight, executed: reason.held });
}

/** uuid of the server that was named; null: none was. */
function askedIn(group: GroupRecord, { asked }: Promotion): string | null {
  return asked === null ? null : requireServer(group, asked).uuid;
}

/** What it holds comes first: that may count when the server itself is passed over. */
async function examine(
  record: ServerRecord,
  isCandidate: boolean,
  rush: Rush,
  data: Promotion,
  group: GroupRecord,
  context: StepContext,
): Promise<Donor> {
  const server = await meet(record, data, group, context);
  const isAsked = record.uuid === askedIn(group, data);
  try {
    const issues = await server.requirementIssues();
    if (isCandidate && issues.length === 0 && data.oldExecuted !== null)
      await rush.join(timeout => receiveAll(server, data.oldExecuted ?? '', timeout), isAsked);
    const onStop = () => {
      data.paused = [...(data.paused ?? []), record.uuid];
    };
    // Nobody else takes over from one that is named: it is waited for.
    const through = isAsked ? [] : rush.through;
    await drain(server, { isCandidate, through, onStop });
    if (issues.length > 0) throw new Error(issues.join('; '));
    const donor = await valid(record, server, data, group);
    if (isCandidate) rush.announce(donor.executed);
    return donor;
  } catch (error) {
    // Without a primary that was lost nothing was acknowledged.
    throw error instanceof PassedOver || data.old === null ? error : await passedOver(server, error);
  }
}

/** @throws Error when it has errant transactions. */
async function valid(
  { uuid, weight }: ServerRecord,
  server: ManagedServer,
  data: Promotion,
  group: GroupRecord,
): Promise<Donor> {
  const executed = await server.executed();
  const errant = errantSince(executed, data.old ?? '', await known(server, data, group));
  if (errant !== '') throw new Error(`it has errant transactions: ${errant}`);
  return { uuid, weight, executed, acknowledges: await acknowledges(server) };
}

/** One that answers and lets nobody in, which passes when its clients are too many, is asked again for as long as a silent one is. */
async function reach(record: ServerRecord, context: StepContext): Promise<ManagedServer> {
  const patience = shortPatience(context);
  for (const end = performance.now() + patience; ; ) {
    try {
      return await context.sessions.to(record, patience);
    } catch (error) {
      const mayPass = isAlive(error) && !(error as AdminError).code.startsWith('ER_ACCESS_DENIED');
      if (!mayPass || performance.now() > end) throw error;
      await sleep(KNOCK);
    }
  }
}

/** ms */
const KNOCK = 50;

/** Connected, and fenced if it accepts writes. */
async function meet(
  record: ServerRecord,
  data: Promotion,
  group: GroupRecord,
  context: StepContext,
): Promise<ManagedServer> {
  const server = await reach(record, context);
  const identity = await refuseReplaced(record, server);
  if (record.byHand && data.automatic) await refuseByHand(record, server, data);
  if (refusesWrites(identity)) return server;
  if (record.uuid === askedIn(group, data)) {
    // It is to take writes in any case: an application that it serves already need not notice.
    data.inUse = true;
    return server;
  }
  try {
    await server.fence();
    await server.killClients();
  } catch (error) {
    throw isAlive(error) ? new Unfenced(record.uuid, error) : error;
  }
  const sentence = `server ${record.uuid} of group ${data.group} accepted writes, and is fenced before another one is opened`;
  decided(context, { group: data.group, server: record.uuid, event: 'fenced', level: 'warn', sentence });
  return server;
}

/**
 * What a replica may have without being errant, beside what the lost primary has written: what that had when it was promoted, what it has been
 * seen to have, and what came from it.
 */
async function known(server: ManagedServer, data: Promotion, group: GroupRecord): Promise<string | null> {
  const { old, oldExecuted } = data;
  const reference = group.baseline ?? oldExecuted;
  if (old === null || reference === null) return null;
  const status = await server.replicaStatus();
  const received = status?.sourceUuid.toLowerCase() === old.toLowerCase() ? status.retrieved : '';
  return [reference, oldExecuted ?? '', received].join();
}

/** @throws Error when `update_only` put the server into the group, and it is not in its place yet: nobody knows what is on it. */
async function refuseByHand({ uuid }: ServerRecord, server: ManagedServer, data: Promotion): Promise<void> {
  if (data.old === null || !(await isInPlace(server, data.old)))
    throw new Error('update_only has changed it in the state store alone, and it does not follow the primary yet');
  data.placed = [...(data.placed ?? []), uuid];
}

async function receiveAll(server: ManagedServer, gtids: string, timeout: number): Promise<boolean> {
  if (holds(await server.executed(), gtids)) return true;
  const status = await server.replicaStatus();
  if (status?.sqlThread !== 'running' || status.ioThread === 'stopped') throw new Error('its replication is stopped');
  return server.waitForExecuted(gtids, timeout);
}

/** Waits for all, but once one has everything, only as long as equals need: a slow replica must not hold up a complete one. */
interface Rush {
  /** What each has applied that is through, and the lost primary where that is known. */
  readonly through: string[];
  announce(executed: string): void;
  join(wait: (timeout: number) => Promise<boolean>, isAsked: boolean): Promise<void>;
}

const GRACE = 500;

function createRush(): Rush {
  const through: string[] = [];
  let one = () => {};
  const first = new Promise<void>(resolve => {
    one = resolve;
  });
  return {
    through,
    announce(executed) {
      through.push(executed);
      one();
    },
    async join(wait, isAsked) {
      const own = wait(CATCH_UP);
      own.catch(() => {});
      const late = first.then(() => new Promise<false>(resolve => setTimeout(() => resolve(false), GRACE)));
      if (!(await (isAsked ? own : Promise.race([own, late]))))
        throw new Error('it lacks transactions of the old primary');
    },
  };
}
