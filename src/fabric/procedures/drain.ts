import type { ManagedServer, ReplicaStatus } from '../replication/replication.js';
import { holds } from './candidates.js';
import { CATCH_UP } from './promotion.js';

/** What a replica has received of a primary that is gone, and must apply before it may take over: its relay log is thrown away then. */

/** It has received transactions that it has not applied in time. It goes on with them. */
export class StillApplying extends Error {
  /** @param held GTID set: all that it has applied or received. */
  constructor(readonly held: string) {
    super(`it has not applied what it had received within ${CATCH_UP / 1000} seconds, and goes on`);
  }
}

/**
 * Nothing more comes from a source that is gone: what was received is applied, so that it counts.
 * @throws StillApplying; Error when its applier has stopped with an error.
 */
export async function drain(server: ManagedServer): Promise<void> {
  const before = await server.replicaStatus();
  if (!before) return;
  const status = (await stopReceiving(server, before)) ?? before;
  if (status.retrieved === '' || holds(await server.executed(), status.retrieved)) return;
  await resumeApplier(server, status);
  await waitUntilApplied(server, status.retrieved);
}

/** A receiver that hangs in an attempt to connect receives nothing, but stopping it takes as long as the attempt: seconds. */
async function stopReceiving(server: ManagedServer, status: ReplicaStatus): Promise<ReplicaStatus | null> {
  if (status.ioThread !== 'running') return status;
  await server.stopReceiving();
  return server.replicaStatus();
}

async function resumeApplier(server: ManagedServer, status: ReplicaStatus): Promise<void> {
  if (status.sqlErrno !== 0) throw new Error(`its applier stopped with error ${status.sqlErrno} (${status.sqlError})`);
  if (status.sqlThread === 'stopped') await server.startApplying();
}

const SLICE = 1_000;

async function waitUntilApplied(server: ManagedServer, retrieved: string): Promise<void> {
  const end = performance.now() + CATCH_UP;
  let applied = await server.executed();
  while (performance.now() < end) {
    if (await server.waitForExecuted(retrieved, SLICE)) return;
    const status = await server.replicaStatus();
    if (status?.sqlThread !== 'running') throw new Error(`its applier has stopped (${status?.sqlError || 'no error'})`);
    const now = await server.executed();
    if (now === applied && (await server.isIdle())) return;
    applied = now;
  }
  throw new StillApplying([applied, retrieved].join());
}
