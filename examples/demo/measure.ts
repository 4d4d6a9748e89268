/** The measures of a phase in which the group stays as it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { semiSync } from './observer.js';
import { type PhaseShares, readServers, sharesOf } from './read-shares.js';
import type { Stage } from './scenario.js';
import { until } from './wait.js';

/** A phase, and what was true in it. */
export interface Phase extends PhaseShares {
  readonly primary: string;
  /** Whether the primary was replicating semi-synchronously, at the phase's end. */
  readonly semiSync: boolean;
  /** Transactions that it committed without a secondary's acknowledgement, since it was started. */
  readonly unacknowledged: number;
}

/** Long enough to tell from it who serves the reads. */
const GLANCE = 200;

/** Lets the load run for `duration` ms, from the moment when exactly the servers that should serve reads do. */
export async function measurePhase(
  phase: string,
  duration: number,
  { cluster, application: { reads }, signal }: Stage,
): Promise<Phase> {
  const members = await cluster.members();
  const expected = readServers(members).map(({ server }) => server.port);
  await until(
    `reads from the servers that should serve them (${phase})`,
    async () => {
      const before = reads.snapshot();
      await sleep(GLANCE, undefined, { signal });
      const serving = [...reads.since(before)].filter(([, count]) => count > 0).map(([port]) => port);
      return serving.length === expected.length && expected.every(port => serving.includes(port));
    },
    { signal },
  );
  const before = reads.snapshot();
  await sleep(duration, undefined, { signal });
  const shares = sharesOf(phase, members, reads.since(before));
  const primary = await cluster.requirePrimary();
  const { on, unacknowledged } = await semiSync(primary.server);
  return { ...shares, primary: primary.name, semiSync: on, unacknowledged };
}
