import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import type { ReplicaStatus } from '../replication/replication.js';
import type { ServerRecord } from '../store/store.js';
import { changeGroup, refuseReplaced, requireGroup, requireServer, withServer } from './group-record.js';
import { describe, isAlive, type Promotion, recordOf, shortPatience, Unfenced } from './promotion.js';
import type { Step, StepContext } from './run.js';

/** The primary that a failover replaces: fenced if it can be reached, and looked at again when that was long ago. */

/** ms for a connection to a server that is believed dead: it must not hold up its successor. */
const FENCE_PATIENCE = 300;

/**
 * A primary reported by mistake still lives. Fenced first, it loses no acknowledged write: its secondaries receive the rest.
 * One that cannot be reached is fenced as soon as it can be (invariant 1).
 */
export const fenceLost: Step<Promotion> = {
  name: 'fence the lost primary',
  async run(data, context) {
    data.before = await requireGroup(context, data.group);
    if (data.old !== null) {
      const { uuid } = requireServer(data.before, data.old);
      const fenced = await fenceIfReachable(data, uuid, context);
      await changeGroup(context, data.group, group => withServer(group, uuid, { needsFencing: !fenced }));
    }
    triedAt.set(data, performance.now());
  },
};

export async function fenceIfReachable(data: Promotion, uuid: string, context: StepContext): Promise<boolean> {
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
    data.oldExecuted = null; // what was known of it may not be all any more
    tell(`the lost primary ${uuid} of group ${data.group} is fenced when it comes back, not now: ${describe(error)}`);
    return false;
  }
}

/** When this process last tried to fence the lost primary of this failover (`performance.now()`). */
const triedAt = new WeakMap<Promotion, number>();
/** ms */
const FRESH = 1_000;

/** It may be back, and take writes: a node that was killed has looked for it, or this one did so long ago. */
export function mayBeBack(data: Promotion): boolean {
  const at = triedAt.get(data);
  return at === undefined || (data.oldExecuted === null && performance.now() - at > FRESH);
}

/** The others wait for the old primary again, should it come back; without one, for whom they followed. */
export async function receiveAgain(data: Promotion, context: StepContext): Promise<void> {
  const group = await requireGroup(context, data.group);
  const old = data.old === null ? null : requireServer(group, data.old);
  const waited = (status: ReplicaStatus, uuid: string) =>
    data.paused?.includes(uuid) || (old !== null && follows(status, old));
  const touched = ({ uuid, byHand }: ServerRecord) =>
    !byHand || data.placed?.includes(uuid) || data.paused?.includes(uuid);
  const secondaries = group.servers.filter(
    server => server.uuid !== data.old && server.status !== STATUS_FAULTY && touched(server),
  );
  await Promise.allSettled(
    secondaries.map(async server => {
      const replica = await context.sessions.to(server, shortPatience(context));
      const status = await replica.replicaStatus();
      if (status?.ioThread !== 'stopped' || !waited(status, server.uuid)) return;
      await replica.startReceiving();
      // A candidate that could not be opened has stopped both.
      const mayApply = data.order.includes(server.uuid) && status.sqlErrno === 0;
      if (mayApply && status.sqlThread === 'stopped') await replica.startApplying();
    }),
  );
}

const follows = ({ source, sourceUuid }: ReplicaStatus, { uuid, host, port }: ServerRecord) =>
  sourceUuid.toLowerCase() === uuid.toLowerCase() || (source.host === host && source.port === port);
