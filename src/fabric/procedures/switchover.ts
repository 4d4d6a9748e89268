import { MODE_READONLY, STATUS_FAULTY, STATUS_SECONDARY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError, ended } from '../errors.js';
import { phrases } from '../model.js';
import { AdminError, type ManagedServer, refusesWrites } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { type Applicant, byPreference, within } from './candidates.js';
import { failoverSteps, repointAll } from './failover.js';
import { changeGroup, refuseReplaced, requireGroup, requireServer, withServer } from './group-record.js';
import { receiveAgain } from './lost-primary.js';
import {
  CATCH_UP,
  commit,
  describe,
  isAlive,
  isPrimary,
  newPromotion,
  noCandidate,
  open,
  type Promotion,
  patience,
  recordOf,
  shortPatience,
  shut,
} from './promotion.js';
import { follow, refuseErrant, repoint } from './repoint.js';
import type { Step, StepContext } from './run.js';

/** The planned change: the old primary answers, and no transaction may be lost or refused longer than needed. */

const chooseCandidate: Step<Promotion> = {
  name: 'choose the candidate',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const old = requireServer(group, data.old ?? '');
    data.before = group;
    const primary = await context.sessions.to(old, patience(context)).catch(cause => {
      throw primarySilent(old, cause);
    });
    data.chosen = data.asked
      ? (await examine(requireServer(group, data.asked), old, primary, context)).uuid
      : await bestSecondary(group, old, primary, context);
  },
};

/** What a primary that does not answer means here; another error stays as it is. */
function primarySilent({ uuid, host, port }: ServerRecord, cause: unknown): unknown {
  if (!(cause instanceof AdminError && cause.unreachable)) return cause;
  const problem = `The primary (${uuid}, ${host}:${port}) does not answer, as a switchover needs: ${ended(cause.message)}`;
  const advice = `'threat report_failure ${uuid}' makes another server take over.`;
  return new CommandError('DatabaseError', `${problem} ${advice}`, { cause });
}

/** @throws CommandError saying why this server cannot take over from a primary that lives. */
async function examine(
  server: ServerRecord,
  old: ServerRecord,
  primary: ManagedServer,
  context: StepContext,
): Promise<Applicant> {
  const refuse = (reason: string) => new CommandError('ServerError', reason);
  if (server.uuid === old.uuid) throw refuse(phrases.alreadyPrimary(server.uuid));
  if (server.status === STATUS_FAULTY) throw refuse(`Server (${server.uuid}) is faulty.`);
  const candidate = await context.sessions.to(server, patience(context));
  const issues = [...(await candidate.requirementIssues()), ...(await replicationIssues(candidate, old))];
  if (issues.length > 0) throw refuse(`Server (${server.uuid}) is not a valid candidate: ${issues.join('; ')}.`);
  await refuseErrant(server.uuid, candidate, primary);
  return { uuid: server.uuid, weight: server.weight, executed: await candidate.executed() };
}

async function replicationIssues(candidate: ManagedServer, old: ServerRecord): Promise<string[]> {
  const status = await candidate.replicaStatus();
  if (!status) return ['it is not configured as a replica'];
  const issues: string[] = [];
  if (status.ioThread !== 'running')
    issues.push(`its receiver is ${status.ioThread} (${status.ioError || 'no error'})`);
  if (status.sqlThread !== 'running') issues.push(`its applier is stopped (${status.sqlError || 'no error'})`);
  if (status.sourceUuid.toLowerCase() !== old.uuid.toLowerCase()) {
    issues.push(`it follows ${status.source.host}:${status.source.port} (${status.sourceUuid}), not the primary`);
  }
  return issues;
}

async function bestSecondary(
  group: GroupRecord,
  old: ServerRecord,
  primary: ManagedServer,
  context: StepContext,
): Promise<string> {
  const secondaries = group.servers.filter(({ status, uuid }) => status === STATUS_SECONDARY && uuid !== old.uuid);
  // Compared by what was there when the search began: under load the one that was asked last would always seem ahead.
  const sought = await primary.executed();
  const looked = await Promise.allSettled(secondaries.map(server => examine(server, old, primary, context)));
  const valid = looked
    .flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    .map(applicant => ({ ...applicant, executed: within(applicant.executed, sought) }));
  const best = byPreference(valid)[0];
  if (best) {
    const sentence = `server ${best.uuid} of group ${group.id} is chosen among ${valid.length} candidates: it is the most advanced, by weight and uuid among equals`;
    decided(context, { group: group.id, server: best.uuid, event: 'candidate', sentence });
    return best.uuid;
  }
  const reasons = looked.flatMap(result => (result.status === 'rejected' ? [describe(result.reason)] : []));
  throw noCandidate(group.id, reasons);
}

async function bothSides(data: Promotion, context: StepContext): Promise<[ManagedServer, ManagedServer]> {
  const [old, chosen] = await Promise.all([recordOf(data.old, data, context), recordOf(data.chosen, data, context)]);
  return Promise.all([context.sessions.to(old, patience(context)), context.sessions.to(chosen, patience(context))]);
}

async function catchUp(data: Promotion, context: StepContext): Promise<void> {
  const [primary, candidate] = await bothSides(data, context);
  if (await candidate.waitForExecuted(await primary.executed(), CATCH_UP)) return;
  const sentence = `Server (${data.chosen}) did not catch up with the primary within ${CATCH_UP / 1000} seconds.`;
  throw new CommandError('ServerError', sentence);
}

/** Before writes are blocked: a candidate that is far behind costs no write anything. */
const catchUpEarly: Step<Promotion> = { name: 'let the candidate catch up', run: catchUp };

const catchUpFully: Step<Promotion> = { name: 'let the candidate apply the last transactions', run: catchUp };

/** Whose old primary this process has fenced. */
const blocked = new WeakSet<Promotion>();

const blockWrites: Step<Promotion> = {
  name: 'block writes on the old primary',
  async run(data, context) {
    const [primary] = await bothSides(data, context);
    await primary.fence();
    await changeGroup(context, data.group, group => ({
      ...withServer(group, data.old ?? '', { status: STATUS_SECONDARY, mode: MODE_READONLY }),
      primary: null,
      primarySince: context.now(),
    }));
    const sentence = `server ${data.old} of group ${data.group} takes no more writes, so that ${data.chosen} can take over`;
    decided(context, { group: data.group, server: data.old, event: 'demoted', sentence });
    blocked.add(data);
  },
  undo: putBack,
};

/** Invariant 3: the old primary takes writes again; when it is gone by now, the failover finds another. */
async function putBack(data: Promotion, context: StepContext): Promise<void> {
  const { before, old } = data;
  if (!before || !old) return;
  const record = requireServer(before, old);
  if (await goesOn(data, before, context)) return;
  try {
    const primary = await context.sessions.to(record, shortPatience(context));
    await primary.setSemiSync('primary');
    await primary.unfence();
  } catch (error) {
    const what = isAlive(error) ? 'refuses to be opened again: ' : 'does not answer any more: ';
    const sentence = `the old primary ${old} of group ${data.group} ${what}${describe(error)}`;
    decided(context, { group: data.group, server: old, event: 'faulty', level: 'warn', sentence });
    await failOverInstead(data, before, context, !isAlive(error));
    return;
  }
  await changeGroup(context, data.group, group => restored(group, before));
  const sentence = `server ${old} is the primary of group ${data.group} again, the switchover was taken back`;
  decided(context, { group: data.group, server: old, event: 'promoted', sentence });
  await reattach(data, record, context);
}

/** The node was killed while it put the old primary back, and another server was to take over by then: that goes on. */
async function goesOn(data: Promotion, before: GroupRecord, context: StepContext): Promise<boolean> {
  const { primary, servers } = await requireGroup(context, data.group);
  const stored = servers.find(({ uuid }) => uuid === primary);
  if (!stored) return false;
  if (stored.uuid !== data.old) await repointAll.run({ ...data, chosen: stored.uuid }, context);
  else if (stored.status === STATUS_FAULTY) await failOverInstead(data, before, context);
  else return false;
  return true;
}

function restored(group: GroupRecord, { primary, primarySince, baseline, servers }: GroupRecord): GroupRecord {
  const old = servers.find(({ uuid }) => uuid === primary);
  const base = { ...group, primary, primarySince, baseline };
  return old ? withServer(base, old.uuid, old) : base;
}

/** The candidate may have forgotten its source already, or (the node was killed here) have it again and not be started. */
async function reattach(data: Promotion, old: ServerRecord, context: StepContext): Promise<void> {
  const candidate = await recordOf(data.chosen, data, context);
  if (candidate.status === STATUS_FAULTY) return;
  try {
    await follow(candidate, old, context);
  } catch (error) {
    const sentence = `server ${candidate.uuid} of group ${data.group} is FAULTY, it cannot follow the old primary again: ${describe(error)}`;
    decided(context, { group: data.group, server: candidate.uuid, event: 'faulty', level: 'warn', sentence });
    await changeGroup(context, data.group, group =>
      withServer(group, candidate.uuid, { status: STATUS_FAULTY, needsFencing: true }),
    );
  }
}

async function failOverInstead(
  data: Promotion,
  before: GroupRecord,
  context: StepContext,
  believedDead = true,
): Promise<void> {
  const old = before.primary ?? '';
  await changeGroup(context, data.group, group =>
    withServer(restored(group, before), old, { status: STATUS_FAULTY, needsFencing: true }),
  );
  const failover = newPromotion(data.group, {
    ...{ kind: 'failover', old, automatic: true, mayReturn: true, believedDead },
  });
  try {
    for (const step of failoverSteps) await step.run(failover, context);
  } catch (error) {
    await receiveAgain(failover, context);
    throw error;
  }
}

const endClients: Step<Promotion> = {
  name: 'end the client connections of the old primary',
  async run(data, context) {
    const [primary] = await bothSides(data, context);
    await primary.killClients();
  },
};

/**
 * Fenced by a node that was killed, the old primary may have been opened since, and written to.
 * @throws CommandError then: it goes on as the primary. One that does not answer is no obstacle.
 */
async function refuseOpened(data: Promotion, context: StepContext): Promise<void> {
  if (blocked.has(data)) return;
  const old = await recordOf(data.old, data, context);
  const identity = await context.sessions
    .to(old, shortPatience(context))
    .then(server => refuseReplaced(old, server))
    .catch(() => null);
  if (identity === null || refusesWrites(identity)) return;
  throw new CommandError('ServerError', `Server (${data.old}) accepts writes again.`);
}

const openCandidate: Step<Promotion> = {
  name: 'open the candidate for writes',
  // Writes are blocked meanwhile: rather the old primary again than a candidate that hangs.
  bound: 3_000,
  async run(data, context) {
    await refuseOpened(data, context);
    // Only the candidate is needed: should the old primary die now, the promotion goes on.
    await open(await context.sessions.to(await recordOf(data.chosen, data, context), patience(context)));
  },
  async undo(data, context) {
    // The failover that taking back has led to may have made it the primary, before the node was killed.
    if (data.chosen && !(await isPrimary(data.chosen, data, context))) await shut(data.chosen, data, context);
  },
};

const commitOpened: Step<Promotion> = {
  ...commit,
  async run(data, context) {
    if (!(await isPrimary(data.chosen, data, context))) await refuseOpened(data, context);
    await commit.run(data, context);
  },
};

export const switchoverSteps: readonly Step<Promotion>[] = [
  chooseCandidate,
  catchUpEarly,
  blockWrites,
  catchUpFully,
  endClients,
  openCandidate,
  commitOpened,
  repoint,
];
