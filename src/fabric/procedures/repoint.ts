import { setTimeout as sleep } from 'node:timers/promises';
import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { AdminError, type ManagedServer } from '../replication/replication.js';
import type { ServerRecord } from '../store/store.js';
import { beyond, ownLost } from './candidates.js';
import { changeGroup, refuseReplaced, requireGroup, withServer } from './group-record.js';
import { describe, isAlive, type Promotion, patience, recordOf, shortPatience } from './promotion.js';
import type { Step, StepContext } from './run.js';

/** Making servers follow a primary: all of a group after a promotion, and each one that comes or comes back. */

/** Never fails: a server that cannot follow the new primary becomes FAULTY, the promotion stands. */
export const repoint: Step<Promotion> = {
  name: 'let the other servers follow the new primary',
  final: true,
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const primary = await recordOf(data.chosen, data, context);
    const others = group.servers.filter(
      ({ uuid, status, byHand }) => uuid !== primary.uuid && status !== STATUS_FAULTY && !byHand,
    );
    await Promise.all(others.map(server => followOrFaulty(server, primary, data, context)));
  },
};

async function followOrFaulty(
  server: ServerRecord,
  primary: ServerRecord,
  data: Promotion,
  context: StepContext,
): Promise<void> {
  const error = await followPatiently(server, primary, context);
  if (error === null) return;
  const left = await leftAsItIs(error, primary, data, context);
  if (left !== null) {
    const sentence = `server ${server.uuid} of group ${data.group} ${left}`;
    decided(context, { group: data.group, server: server.uuid, event: 'repointed', level: 'warn', sentence });
    return;
  }
  const sentence = `server ${server.uuid} of group ${data.group} is FAULTY, it cannot follow the new primary: ${describe(error)}`;
  decided(context, { group: data.group, server: server.uuid, event: 'faulty', level: 'warn', sentence });
  await changeGroup(context, data.group, group =>
    withServer(group, server.uuid, { status: STATUS_FAULTY, needsFencing: true }),
  ).catch(cause => context.log.error(`server ${server.uuid} could not be marked FAULTY: ${cause}`));
}

/** ms in which a new primary that all its clients are about to reach has a place for a replica. */
const REFUSALS = 3_000;
const PAUSE = 200;

/** A refusal that may pass is tried again. @returns why it does not follow; null: it does. */
async function followPatiently(server: ServerRecord, primary: ServerRecord, context: StepContext): Promise<unknown> {
  for (const end = performance.now() + REFUSALS; ; await sleep(PAUSE)) {
    try {
      await follow(server, primary, context);
      return null;
    } catch (error) {
      const mayPass = isAlive(error) && (error as AdminError).code !== 'REPLICA_SQL_ERROR';
      if (!mayPass || performance.now() > end || !(await answers(primary, context))) return error;
    }
  }
}

/** Why a server that does not follow is a secondary still; null: it is none. */
async function leftAsItIs(
  error: unknown,
  primary: ServerRecord,
  { group }: Promotion,
  context: StepContext,
): Promise<string | null> {
  if (error instanceof CommandError) return null;
  // Its fault is the new primary's: as a candidate for the next failover it is needed.
  if (!(await answers(primary, context))) return 'cannot follow a primary that does not answer';
  // It may be stopping a long statement of its applier. The detector judges it.
  if (!(error instanceof AdminError && error.unreachable && error.code === 'ETIMEDOUT')) return null;
  const isWatched = await requireGroup(context, group).then(
    ({ active }) => active,
    () => true,
  );
  return isWatched ? `does not answer, and is to follow the new primary when it does: ${describe(error)}` : null;
}

async function answers(server: ServerRecord, context: StepContext): Promise<boolean> {
  try {
    const session = await context.replication.connect(server, shortPatience(context));
    await session.ping().finally(() => session.close());
    return true;
  } catch (error) {
    return error instanceof AdminError && !error.unreachable;
  }
}

/**
 * Makes a server a secondary of the primary.
 * @throws CommandError when it has transactions that the primary lacks (invariant 2), or lacks its own; AdminError when it cannot follow.
 */
export async function follow(server: ServerRecord, primary: ServerRecord, context: StepContext): Promise<void> {
  const [replica, source] = await Promise.all([
    context.sessions.to(server, shortPatience(context)),
    context.sessions.to(primary, patience(context)),
  ]);
  await refuseReplaced(server, replica);
  await refuseUnlike(server.uuid, replica, source);
  await replica.setSemiSync('secondary');
  await replica.follow(primary);
}

/**
 * Neither may a server have transactions that the primary lacks, nor lack its own: replication never sends those back to it.
 * @throws CommandError naming them.
 */
export async function refuseUnlike(uuid: string, replica: ManagedServer, source: ManagedServer): Promise<void> {
  await refuseErrant(uuid, replica, source);
  // The source's set is read first: what the server has written itself was on it before.
  const reference = await source.executed();
  const lost = ownLost(uuid, await replica.executed(), reference);
  if (lost === '') return;
  const advice = `Please, restore it from a copy of the primary, or give it a new server_uuid and all of the primary's data.`;
  throw new CommandError(
    'ServerError',
    `Server (${uuid}) was emptied: it lacks transactions that it wrote itself, ${lost}, and replication would skip them. ${advice}`,
  );
}

/** @throws CommandError naming the transactions that `replica` has and `source` lacks. */
export async function refuseErrant(uuid: string, replica: ManagedServer, source: ManagedServer): Promise<void> {
  // The replica's set is read first: what it receives from the source meanwhile is not taken for its own.
  const held = await replica.executed();
  let errant = beyond(held, await source.executed());
  // A source sends a transaction before it counts it as executed itself, so a quick replica may be ahead for a moment.
  for (let look = 0; errant !== '' && look < LOOKS; look += 1) {
    await sleep(LOOK_PAUSE);
    errant = beyond(errant, await source.executed());
  }
  if (errant === '') return;
  throw new CommandError('ServerError', `Server (${uuid}) has transactions that the primary lacks: ${errant}.`);
}

const LOOKS = 10;
const LOOK_PAUSE = 20;
