import type { Server } from '../wire/topology.js';

/**
 * Smooth weighted round-robin. After any number of picks each server's count differs from its exact share by less than one, and no server
 * is picked in bursts: Tijdeman's rule ("The chairman assignment problem", Discrete Mathematics 32, 1980), which picks, among the servers
 * that are owed enough, the one whose turn would be overdue first.
 *
 * What a server is owed survives a change of the candidates, so a topology refresh does not start the round anew.
 */
export function weightedRoundRobin(): (candidates: readonly Server[]) => Server {
  let known: readonly Server[] = [];
  let shares = new Float64Array(0);
  let owed = new Float64Array(0);

  const adopt = (candidates: readonly Server[]): void => {
    const before = new Map(known.map((server, i) => [server.uuid, owed[i] as number]));
    const total = candidates.reduce((sum, server) => sum + server.weight, 0);
    shares = Float64Array.from(candidates, server => server.weight / total);
    owed = Float64Array.from(candidates, server => before.get(server.uuid) ?? 0);
    const surplus = owed.reduce((sum, value) => sum + value, 0) / candidates.length;
    owed = owed.map(value => value - surplus);
    known = candidates;
  };

  return candidates => {
    if (candidates.length === 1) return candidates[0] as Server;
    if (candidates !== known) adopt(candidates);
    return candidates[nextTurn(shares, owed)] as Server;
  };
}

/** Pays every server its share, takes the whole pick from the chosen one, and returns its index. */
function nextTurn(shares: Float64Array, owed: Float64Array): number {
  const threshold = 1 / (2 * shares.length - 2) - 1e-9;
  // All are owed 1 together, so one of n is owed 1/n at least, and that is above the threshold.
  let chosen = 0;
  let earliest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < shares.length; i++) {
    const share = shares[i] as number;
    const credit = (owed[i] as number) + share;
    owed[i] = credit;
    const deadline = (1 - threshold - credit) / share;
    if (credit >= threshold && deadline < earliest) {
      earliest = deadline;
      chosen = i;
    }
  }
  owed[chosen] = (owed[chosen] as number) - 1;
  return chosen;
}
