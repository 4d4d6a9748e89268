import type { ManagedServer, ReplicaStatus } from '../replication/replication.js';
import { holds } from './candidates.js';
import { CATCH_UP, describe } from './promotion.js';

/** What a replica has received of a primary that is gone, and must apply before it may take over: its relay log is thrown away then. */

/** A server that answers, and does not take over. */
export class PassedOver extends Error {
  /**
   * @param held GTID set: all that it has applied or received.
   * @param counts nobody may take over who lacks it: it will be applied soon, or its receiver has acknowledged it to the primary.
   */
  constructor(
    why: string,
    readonly held: string,
    readonly counts: boolean,
  ) {
    super(why);
  }
}

/** With what it holds, as far as it can still be asked. */
export async function passedOver(server: ManagedServer, cause: unknown): Promise<unknown> {
  try {
    const status = await server.replicaStatus();
    const held = [await server.executed(), status?.retrieved ?? ''].join();
    return new PassedOver(describe(cause), held, await acknowledges(server));
  } catch {
    return cause;
  }
}

/**
 * Nothing more comes from a source that is gone: what was received is applied, so that it counts.
 * @param isCandidate that it will be applied soon counts, too: a spare is waited for only when it has acknowledged.
 * @param through what others have applied: nobody is waited for who has no more than one of them. Grows meanwhile.
 * @throws PassedOver.
 */
export async function drain(server: ManagedServer, isCandidate = true, through: readonly string[] = []): Promise<void> {
  const before = await server.replicaStatus();
  if (!before) return;
  const { retrieved, sqlErrno, sqlThread } = (await stopReceiving(server, before)) ?? before;
  if (retrieved === '') return;
  if (sqlErrno === 0 && sqlThread === 'stopped' && !holds(await server.executed(), retrieved))
    await server.startApplying();
  const end = performance.now() + CATCH_UP;
  for (let applied: string | null = null; ; ) {
    // Asked before the set: what a stopped applier has applied by then is all that it will.
    const now = await server.replicaStatus();
    const executed = await server.executed();
    if (holds(executed, retrieved)) return;
    const obstacle = obstacleOf(now, performance.now() > end);
    const held = [executed, retrieved].join();
    if (obstacle !== null)
      throw new PassedOver(obstacle, held, (isCandidate && isSoon(now)) || (await acknowledges(server)));
    if (executed === applied && (await server.isIdle())) return;
    if (applied !== null && through.some(other => holds(other, held)))
      throw new PassedOver('it is still applying what another one has applied', held, false);
    applied = executed;
    await server.waitForExecuted(retrieved, SLICE);
  }
}

/** A receiver that hangs in an attempt to connect receives nothing, but stopping it takes as long as the attempt: seconds. */
async function stopReceiving(server: ManagedServer, status: ReplicaStatus): Promise<ReplicaStatus | null> {
  if (status.ioThread !== 'running') return status;
  await server.stopReceiving();
  return server.replicaStatus();
}

/** ms */
const SLICE = 100;

/** null: it goes on. */
function obstacleOf(status: ReplicaStatus | null, isLate: boolean): string | null {
  if (status === null) return 'it has forgotten its source';
  if (status.sqlErrno !== 0) return `its applier stopped with error ${status.sqlErrno} (${status.sqlError})`;
  if (status.sqlThread === 'stopped') return 'its applier has stopped';
  if (status.delay > 0) return `it applies everything ${status.delay} s late`;
  return isLate ? `it has not applied what it had received within ${CATCH_UP / 1000} seconds, and goes on` : null;
}

function isSoon(status: ReplicaStatus | null): boolean {
  return status?.sqlThread === 'running' && status.delay === 0;
}

async function acknowledges(server: ManagedServer): Promise<boolean> {
  return (await server.semiSync())?.role === 'secondary';
}
