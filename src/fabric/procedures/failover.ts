import { setTimeout as sleep } from 'node:timers/promises';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import type { ManagedServer } from '../replication/replication.js';
import type { ServerRecord } from '../store/store.js';
import { holds, owed } from './candidates.js';
import { checkAsked, chooseAsked, chooseFreely } from './choice.js';
import { drain } from './drain.js';
import { requireGroup, requireServer } from './group-record.js';
import { fenceIfReachable, fenceLost, mayBeBack, receiveAgain } from './lost-primary.js';
import {
  CATCH_UP,
  commit,
  describe,
  isAlive,
  isPrimary,
  noCandidate,
  open,
  type Promotion,
  patience,
  recordOf,
  shortPatience,
  shut,
  Unfenced,
} from './promotion.js';
import { repoint } from './repoint.js';
import type { Step, StepContext } from './run.js';
import { type Survey, survey } from './survey.js';

/** The unplanned change: the primary is FAULTY, or there is none yet. */

/** Whose servers this process has surveyed: what a killed one has seen may be old. */
const surveyed = new WeakSet<Promotion>();

const chooseSuccessor: Step<Promotion> = {
  name: 'choose among the servers that answer',
  async run(data, context) {
    if (mayBeBack(data)) {
      await receiveAgain(data, context);
      await fenceLost.run(data, context);
    }
    const group = await requireGroup(context, data.group);
    if (data.asked !== null) checkAsked(data.asked, data, group);
    const found = await survey(data, group, context);
    for (const [server, reason] of found.excluded) {
      const sentence = `no candidate in group ${group.id}: ${reason}`;
      decided(context, { group: group.id, server, event: 'candidate', level: 'warn', sentence });
    }
    data.order = data.asked === null ? chooseFreely(data, group, found) : chooseAsked(data.asked, data, group, found);
    data.donors = [...found.valid, ...found.donors];
    surveyed.add(data);
    tellChoice(data, found, context);
  },
  undo: receiveAgain,
};

function tellChoice({ group, order, asked }: Promotion, { valid }: Survey, context: StepContext): void {
  const [server = ''] = order;
  const evidence = valid.map(({ uuid, executed }) => `${uuid} has ${executed || 'no transactions'}`).join('; ');
  const why = asked === null ? 'the most advanced comes first' : 'it was named';
  const sentence = `the candidates of group ${group} are, best first, ${order.join(', ')}: ${why} (${evidence || 'nobody else answers'})`;
  decided(context, { group, server, event: 'candidate', sentence });
}

const openSuccessor: Step<Promotion> = {
  name: 'open the successor for writes',
  async run(data, context) {
    const { oldExecuted } = data;
    if (mayBeBack(data)) await fenceLost.run(data, context);
    if (!surveyed.has(data) || data.oldExecuted !== oldExecuted) {
      await receiveAgain(data, context);
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
        await shutAgain(uuid, data, context);
        if (error instanceof Unfenced) throw error;
      }
    }
    data.chosen = null;
    throw noCandidate(data.group, failures);
  },
  async undo(data, context) {
    if (data.chosen) await shutAgain(data.chosen, data, context);
  },
};

/** One that took writes before goes on: nobody else was opened. */
async function shutAgain(uuid: string, data: Promotion, context: StepContext): Promise<void> {
  if (!data.inUse) await shut(uuid, data, context);
}

async function openFirst(uuid: string, data: Promotion, context: StepContext): Promise<void> {
  const record = await recordOf(uuid, data, context);
  const server = await context.sessions.to(record, shortPatience(context));
  const status = await server.replicaStatus();
  if (status?.ioThread === 'running' && data.old !== null && data.oldExecuted === null) {
    // The lost primary goes on, and has sent more since the survey.
    if (await fenceIfReachable(data, data.old, context)) await server.waitForExecuted(data.oldExecuted ?? '', CATCH_UP);
    await drain(server);
  }
  await receiveFromDonors(server, data, context);
  await refuseLoss(uuid, data, server);
  if (status?.ioThread === 'connecting') {
    await Promise.race([forgetLostSource(record, context), sleep(HANG)]);
    await server.setSemiSync('primary');
    await server.unfence();
  } else await open(server);
}

/**
 * Invariant 4: a spare, or a better candidate that could not be opened, may be the only one that has what the lost primary has acknowledged:
 * the candidate gets it from there, unless that one is gone by now, or has acknowledged nothing and does not hand it on.
 */
async function receiveFromDonors(server: ManagedServer, data: Promotion, context: StepContext): Promise<void> {
  if (data.old === null || data.inUse) return;
  const group = await requireGroup(context, data.group);
  for (const { uuid, executed, acknowledges } of data.donors ?? []) {
    const missing = owed(executed, await server.executed(), data.old, group.baseline);
    if (missing === '') continue;
    const donor = requireServer(group, uuid);
    const answers = context.sessions.to(donor, shortPatience(context)).then(session => session.ping());
    if (!(await answers.then(() => true, isAlive))) continue;
    const reason = await receive(missing, donor, server);
    if (reason === null) continue;
    const sentence = `it did not get ${missing} from server ${uuid}, ${reason}`;
    if (acknowledges) {
      // As before: should the lost primary come back, it sends the rest.
      await server.follow(requireServer(group, data.old)).catch(() => {});
      throw new Error(`${sentence}. To give that up, please, report that server as failed`);
    }
    const lost = `the candidate of group ${group.id} goes on without what was acknowledged by nobody: ${sentence}`;
    decided(context, { group: group.id, server: uuid, event: 'candidate', level: 'warn', sentence: lost });
  }
}

/** @returns why `server` has not got it; null: it has. */
async function receive(missing: string, donor: ServerRecord, server: ManagedServer): Promise<string | null> {
  try {
    await server.follow(donor);
    const isThere = await server.waitForExecuted(missing, CATCH_UP);
    return isThere ? null : `which took more than ${CATCH_UP / 1000} seconds`;
  } catch (error) {
    return describe(error);
  }
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
    if (!surveyed.has(data) && !(await isPrimary(data.chosen, data, context))) await openSuccessor.run(data, context);
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
