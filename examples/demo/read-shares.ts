/** Who served the reads, and whether that is what the weights say. */
import type { Member } from './cluster.js';

/** Counts reads by the port of the server that answered. */
export class ReadTally {
  readonly #counts = new Map<number, number>();

  count(port: number): void {
    this.#counts.set(port, (this.#counts.get(port) ?? 0) + 1);
  }

  /** The counts as they are now. */
  snapshot(): ReadonlyMap<number, number> {
    return new Map(this.#counts);
  }

  /** Reads by port since that snapshot. */
  since(before: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
    return new Map([...this.#counts].map(([port, count]) => [port, count - (before.get(port) ?? 0)]));
  }
}

/** What one server served in a phase. */
export interface ServerShare {
  readonly name: string;
  readonly weight: number;
  /** Share of the reads by weight, and as it was: percent. */
  readonly expected: number;
  readonly actual: number;
}

export interface PhaseShares {
  readonly phase: string;
  readonly reads: number;
  readonly servers: readonly ServerShare[];
}

/** The members that reads go to: the group says so with their mode. */
export function readServers(members: readonly Member[]): Member[] {
  return members.filter(({ mode, status }) => mode === 'READ_ONLY' && status !== 'FAULTY');
}

/** A server that should have served nothing, and did, is listed with the others. */
export function sharesOf(phase: string, members: readonly Member[], counts: ReadonlyMap<number, number>): PhaseShares {
  const serving = readServers(members);
  const weights = sum(serving.map(({ weight }) => weight));
  const reads = sum([...counts.values()]);
  const servers = members
    .map(member => ({
      name: member.name,
      weight: member.weight,
      expected: serving.includes(member) ? (100 * member.weight) / weights : 0,
      actual: reads === 0 ? 0 : (100 * (counts.get(member.server.port) ?? 0)) / reads,
    }))
    .filter(({ expected, actual }) => expected > 0 || actual > 0);
  return { phase, reads, servers };
}

/** Percentage points by which the worst share misses its weight. */
export function deviation({ servers }: PhaseShares): number {
  return Math.max(...servers.map(({ expected, actual }) => Math.abs(expected - actual)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
