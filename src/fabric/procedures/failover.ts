import { setTimeout as sleep } from 'node:timers/promises';
import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { phrases } from '../model.js';
import type { ManagedServer, ReplicaStatus } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { type Applicant, beyond, byPreference, holds, lackedBy, lostByPrimary, ownLost } from './candidates.js';
import { drain } from './drain.js';
import { changeGroup, refuseReplaced, requireGroup, requireServer, withServer } from './group-record.js';
import {
  commit,
  describe,
  isAlive,
  isPrimary,
  noCandidate,
  open,
  type Promotion,
  patience,
  recordOf,
  repoint,
  shortPatience,
  shut,
  Unfenced,
} from './promotion.js';
import type { Step, StepContext } from './run.js';
import { type Survey, survey } from './survey.js';

/** The unplanned change: the primary is FAULTY, or there is none yet. */

/** ms for a connection to a server that is believed dead: it must not hold up its successor. */
const FENCE_PATIENCE = 300;

/**
 * A primary reported by mistake still lives. Fenced first, it loses no acknowledged write: its secondaries receive the rest.
 * One that cannot be reached is fenced as soon as it can be (invariant 1).
 */
const fenceLost: Step<Promotion> = {
  name: 'fence the lost primary',
  async run(data, context) {
    data.before = await requireGroup(context, data.group);
    if (data.old === null) return;
    const old = requireServer(data.before, data.old);
    const fenced = await fenceIfReachable(data, old.uuid, context);
    await changeGroup(context, data.group, group => withServer(group, old.uuid, { needsFencing: !fenced }));
  },
};

async function fenceIfReachable(data: Promotion, uuid: string, context: StepContext): Promise<boolean> {
  const tell = (sentence: string) => decided(context, { group: data.group, server: uuid, event: 'fenced', sentence });
  try {
    const record = await recordOf(uuid, data, context);
    const patience = data.believedDead ? FENCE_PATIENCE : shortPatience(context);
    const server = await context.sessions.to(record, patience);
    await refuseReplaced(record, server);
    await server.fence();
    await server.killClients();
    data.oldExecuted = await server.executed();
    tell(`the lost primary ${uuid} of group ${data.group} answers and is fenced`);
    return true;
  } catch (error) {
    if (isAlive(error)) throw new Unfenced(uuid, error);
    tell(`the lost primary ${uuid} of group ${data.group} is fenced when it comes back, not now: ${describe(error)}`);
    return false;
  }
}

/** Whose servers this process has looked at: what a node saw that was killed since may be old. */
const seen = new WeakSet<Promotion>();

const chooseSuccessor: Step<Promotion> = {
  name: 'choose among the servers that answer',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    if (data.asked !== null) checkAsked(data.asked, data, group);
    const found = await survey(data, group, context);
    for (const [server, reason] of found.excluded) {
      const sentence = `no candidate in group ${group.id}: ${reason}`;
      decided(context, { group: group.id, server, event: 'candidate', level: 'warn', sentence });
    }
    data.order = data.asked === null ? chooseFreely(data, group, found) : chooseAsked(data.asked, data, group, found);
    seen.add(data);
    tellChoice(data, found, context);
  },
  async undo(data, context) {
    if (data.oldExecuted === null) await receiveAgain(data, context);
  },
};

/** The secondaries wait for the old primary again, should it come back. */
async function receiveAgain(data: Promotion, context: StepContext): Promise<void> {
  if (data.old === null) return;
  const group = await requireGroup(context, data.group);
  const old = requireServer(group, data.old);
  const touched = ({ uuid, byHand }: ServerRecord) => !byHand || data.placed?.includes(uuid);
  const secondaries = group.servers.filter(
    server => server.uuid !== data.old && server.status !== STATUS_FAULTY && touched(server),
  );
  await Promise.allSettled(
    secondaries.map(async server => {
      const replica = await context.sessions.to(server, shortPatience(context));
      const status = await replica.replicaStatus();
      if (status?.ioThread === 'stopped' && follows(status, old)) await replica.startReceiving();
    }),
  );
}

const follows = ({ source }: ReplicaStatus, { host, port }: ServerRecord) =>
  source.host === host && source.port === port;

function tellChoice({ group, order, asked }: Promotion, { valid }: Survey, context: StepContext): void {
  const [server = ''] = order;
  const evidence = valid.map(({ uuid, executed }) => `${uuid} has ${executed || 'no transactions'}`).join('; ');
  const why = asked === null ? 'the most advanced comes first' : 'it was named';
  const sentence = `the candidates of group ${group} are, best first, ${order.join(', ')}: ${why} (${evidence || 'nobody else answers'})`;
  decided(context, { group, server, event: 'candidate', sentence });
}

function checkAsked(asked: string, data: Promotion, group: GroupRecord): void {
  const { uuid, status } = requireServer(group, asked);
  if (uuid === data.old) throw new CommandError('ServerError', phrases.alreadyPrimary(uuid));
  if (status === STATUS_FAULTY) throw new CommandError('ServerError', `Server (${uuid}) is faulty.`);
}

function chooseFreely(data: Promotion, group: GroupRecord, { valid, excluded, late }: Survey): string[] {
  const [best] = byPreference(valid);
  const obstacle = divergenceOf(valid, data, group) ?? (best ? savedElsewhere(best, late, data) : null);
  const order = obstacle === null ? byPreference(valid).map(({ uuid }) => uuid) : [];
  const reasons = [...excluded.values(), ...(obstacle === null ? [] : [obstacle])];
  const { old, oldExecuted, mayReturn } = data;
  // The lost primary comes last, and only when it answers: it is fenced, and has all that was ever acknowledged.
  if (mayReturn && old && oldExecuted !== null) {
    const sent = valid.map(({ executed }) => executed);
    const lost = lostByPrimary(old, oldExecuted, group.baseline, sent);
    if (lost === '') order.push(old);
    else reasons.push(`Server (${old}) has lost transactions: ${lost}.`);
  }
  if (order.length === 0) throw noCandidate(group.id, reasons);
  return order;
}

/**
 * Where nothing tells which transactions are errant, the one with the most may be the one that has diverged: it is chosen only when it has all
 * that the others have (invariant 2). null: nobody has diverged.
 */
function divergenceOf(valid: readonly Applicant[], { old, oldExecuted }: Promotion, group: GroupRecord): string | null {
  const [best] = byPreference(valid);
  const isKnown = old !== null && (group.baseline ?? oldExecuted) !== null;
  const lacking = best && !isKnown ? lackedBy(best, valid) : [];
  if (!best || lacking.length === 0) return null;
  const held = lacking.map(other => `${other.gtids} of server (${other.uuid})`).join(', ');
  const wayOut = 'Please, report those as failed whose transactions shall be given up.';
  return `The servers have diverged: server (${best.uuid}) has the most transactions, and lacks ${held}. ${wayOut}`;
}

/** Invariant 4: another server may be the only one that has received what the lost primary has acknowledged. null: it is not. */
function savedElsewhere({ uuid, executed }: Applicant, late: readonly Applicant[], { old }: Promotion): string | null {
  const owed = late
    .map(({ uuid: holder, executed: held }) => ({
      holder,
      gtids: old === null ? beyond(held, executed) : ownLost(old, executed, held),
    }))
    .filter(({ gtids }) => gtids !== '');
  if (owed.length === 0) return null;
  const held = owed.map(({ holder, gtids }) => `${gtids} of server (${holder})`).join(', ');
  return `Server (${uuid}) lacks what is still being applied elsewhere: ${held}. To give it up, please, report that server as failed.`;
}

/** Named by an operator, but never at the price of transactions that another server has saved from a primary that was lost. */
function chooseAsked(asked: string, data: Promotion, group: GroupRecord, { valid, excluded, late }: Survey): string[] {
  const { uuid } = requireServer(group, asked);
  const applicant = valid.find(server => server.uuid === uuid);
  if (!applicant) throw new CommandError('ServerError', excluded.get(uuid) ?? `Server (${uuid}) does not answer.`);
  const saved = savedElsewhere(applicant, late, data);
  if (saved !== null) throw new CommandError('ServerError', saved);
  const lacking = group.baseline === null ? [] : lackedBy(applicant, valid);
  if (lacking.length === 0) return [uuid];
  const held = lacking.map(other => `${other.gtids} of server (${other.uuid})`).join(', ');
  throw new CommandError('ServerError', `Server (${uuid}) lacks transactions that others have: ${held}.`);
}

const openSuccessor: Step<Promotion> = {
  name: 'open the successor for writes',
  async run(data, context) {
    if (!seen.has(data)) {
      await receiveAgain(data, context);
      await fenceLost.run(data, context);
      await chooseSuccessor.run(data, context);
    }
    const failures: string[] = [];
    for (const uuid of data.order) {
      data.chosen = uuid;
      try {
        await openFirst(uuid, data, context);
        return;
      } catch (error) {
        failures.push(`Server (${uuid}): ${describe(error)}.`);
        const sentence = `server ${uuid} of group ${data.group} could not be promoted: ${describe(error)}`;
        decided(context, { group: data.group, server: uuid, event: 'candidate', level: 'warn', sentence });
        await shut(uuid, data, context);
      }
    }
    data.chosen = null;
    throw noCandidate(data.group, failures);
  },
  async undo(data, context) {
    if (data.chosen) await shut(data.chosen, data, context);
  },
};

async function openFirst(uuid: string, data: Promotion, context: StepContext): Promise<void> {
  const record = await recordOf(uuid, data, context);
  const server = await context.sessions.to(record, shortPatience(context));
  const status = await server.replicaStatus();
  if (status?.ioThread === 'running' && data.old !== null && data.oldExecuted === null) {
    // The lost primary goes on, and has sent more since the survey.
    await fenceIfReachable(data, data.old, context);
    await drain(server);
  }
  await refuseLoss(uuid, data, server);
  if (status?.ioThread === 'connecting') {
    await Promise.race([forgetLostSource(record, context), sleep(HANG)]);
    await server.setSemiSync('primary');
    await server.unfence();
  } else await open(server);
}

/** ms after which a receiver counts as hanging. */
const HANG = 200;

/**
 * Stopping replication stops the applier first; then the server waits for a receiver that hangs in an attempt to reach a frozen source, which
 * takes seconds but lets nothing in any more. So it goes on in a session of its own, while the group gets its primary; `repoint` sees the end.
 */
async function forgetLostSource(record: ServerRecord, context: StepContext): Promise<void> {
  const server = await context.replication.connect(record, patience(context));
  try {
    await server.forgetSource();
  } catch (error) {
    context.log.warn(`server ${record.uuid} has not forgotten its lost source yet: ${describe(error)}`);
  } finally {
    server.close();
  }
}

/** Repeated, because in the promotion of a frozen primary's successor it may go on behind it. */
export const repointAll: Step<Promotion> = {
  name: repoint.name,
  final: true,
  async run(data, context) {
    await repoint.run(data, context);
    await forgetSource(data, context).catch(error => {
      context.log.error(`the new primary ${data.chosen} still has its lost source configured: ${describe(error)}`);
    });
  },
};

async function forgetSource(data: Promotion, context: StepContext): Promise<void> {
  if (data.old === null) return;
  const server = await context.sessions.to(await recordOf(data.chosen, data, context), patience(context));
  if (await server.replicaStatus()) await server.forgetSource();
}

/** A second choice may be behind the first one, but not behind what the fenced primary is known to have acknowledged. */
async function refuseLoss(uuid: string, { oldExecuted }: Promotion, server: ManagedServer): Promise<void> {
  if (oldExecuted === null || holds(await server.executed(), oldExecuted)) return;
  throw new CommandError('ServerError', `Server (${uuid}) lacks transactions of the old primary.`);
}

const commitOpened: Step<Promotion> = {
  ...commit,
  async run(data, context) {
    if (!seen.has(data) && !(await isPrimary(data.chosen, data, context))) await openSuccessor.run(data, context);
    await commit.run(data, context);
  },
};

export const failoverSteps: readonly Step<Promotion>[] = [
  fenceLost,
  chooseSuccessor,
  openSuccessor,
  commitOpened,
  repointAll,
];

/** Fences a primary that was declared FAULTY without looking for another. */
export const fenceOnlySteps: readonly Step<Promotion>[] = [fenceLost];
