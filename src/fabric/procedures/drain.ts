import type { ManagedServer, ReplicaStatus } from '../replication/replication.js';
import { holds } from './candidates.js';
import { CATCH_UP } from './promotion.js';

/** What a replica has received of a primary that is gone, and must apply before it may take over: its relay log is thrown away then. */

/** It has received transactions that it has not applied. */
export class Undrained extends Error {
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

/**
 * Nothing more comes from a source that is gone: what was received is applied, so that it counts.
 * @param through what others have applied: nobody is waited for who has no more than one of them. Grows meanwhile.
 * @throws Undrained.
 */
export async function drain(server: ManagedServer, through: readonly string[] = []): Promise<void> {
  const before = await server.replicaStatus();
  if (!before) return;
  const status = (await stopReceiving(server, before)) ?? before;
  if (status.retrieved === '' || holds(await server.executed(), status.retrieved)) return;
  if (status.sqlErrno === 0 && status.sqlThread === 'stopped') await server.startApplying();
  for (const end = performance.now() + CATCH_UP; ; ) {
    const applied = await server.executed();
    if (await server.waitForExecuted(status.retrieved, SLICE)) return;
    const now = await server.replicaStatus();
    const executed = await server.executed();
    const obstacle = obstacleOf(now, performance.now() > end);
    const held = [executed, status.retrieved].join();
    if (obstacle !== null) throw new Undrained(obstacle, held, isSoon(now) || (await acknowledges(server)));
    if (executed === applied && (await server.isIdle())) return;
    if (through.some(other => holds(other, held)))
      throw new Undrained('it is still applying what another one has applied', held, false);
  }
}

/** A receiver that hangs in an attempt to connect receives nothing, but stopping it takes as long as the attempt: seconds. */
async function stopReceiving(server: ManagedServer, status: ReplicaStatus): Promise<ReplicaStatus | null> {
  if (status.ioThread !== 'running') return status;
  await server.stopReceiving();
  return server.replicaStatus();
}

const SLICE = 1_000;

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
