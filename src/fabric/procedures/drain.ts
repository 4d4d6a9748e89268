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

export interface Draining {
  /** That it will be applied soon counts, too: a spare that has acknowledged nothing is hardly waited for. */
  readonly isCandidate?: boolean;
  /** What others have applied: nobody is waited for who has no more than one of them. Grows meanwhile. */
  readonly through?: readonly string[];
  /** Hears that the receiver will be stopped. */
  onStop?(): void;
}

/**
 * Nothing more comes from a source that is gone: what was received is applied, so that it counts.
 * @throws PassedOver.
 */
export async function drain(
  server: ManagedServer,
  { isCandidate = true, through = [], onStop }: Draining = {},
): Promise<void> {
  let status = await server.replicaStatus();
  // One that hangs in an attempt to connect receives nothing, but stopping it takes as long as the attempt: seconds.
  if (status?.ioThread === 'running') {
    onStop?.();
    await server.stopReceiving();
    status = await server.replicaStatus();
  }
  if (status) await applyAll(server, status, isCandidate, through);
}

async function applyAll(
  server: ManagedServer,
  { retrieved, sqlErrno, sqlThread }: ReplicaStatus,
  isCandidate: boolean,
  through: readonly string[],
): Promise<void> {
  if (retrieved === '') return;
  if (sqlErrno === 0 && sqlThread === 'stopped' && !holds(await server.executed(), retrieved))
    await server.startApplying();
  const patience = isCandidate || (await acknowledges(server)) ? CATCH_UP : GRACE;
  const end = performance.now() + patience;
  for (let before: string | null = null; ; ) {
    // Asked before the set: what a stopped applier has applied by then is all that it will.
    const now = await server.replicaStatus();
    const executed = await server.executed();
    if (holds(executed, retrieved)) return;
    const obstacle = obstacleOf(now, performance.now() > end ? patience : null);
    const held = [executed, retrieved].join();
    if (obstacle !== null)
      throw new PassedOver(obstacle, held, (isCandidate && isSoon(now)) || (await acknowledges(server)));
    if (executed === before && (await server.isIdle())) return;
    if (before !== null && through.some(other => holds(other, held)))
      throw new PassedOver('it is still applying what another one has applied', held, false);
    before = executed;
    await server.waitForExecuted(retrieved, SLICE);
  }
}

/** ms */
const SLICE = 100;
const GRACE = 500;

/** null: it goes on. */
function obstacleOf(status: ReplicaStatus | null, waited: number | null): string | null {
  if (status === null) return 'it has forgotten its source';
  if (status.sqlErrno !== 0) return `its applier stopped with error ${status.sqlErrno} (${status.sqlError})`;
  if (status.sqlThread === 'stopped') return 'its applier has stopped';
  if (status.delay > 0) return `it applies everything ${status.delay} s late`;
  return waited === null
    ? null
    : `it has not applied what it had received within ${waited / 1000} seconds, and goes on`;
}

function isSoon(status: ReplicaStatus | null): boolean {
  return status?.sqlThread === 'running' && status.delay === 0;
}

/** As a secondary, or was about to be opened as the primary: both say that the group's semi-sync is on. */
export async function acknowledges(server: ManagedServer): Promise<boolean> {
  const role = (await server.semiSync())?.role;
  return role === 'secondary' || role === 'primary';
}
