import type { Server } from '../wire/topology.js';
import { badInput } from './errors.js';
import { weightedRoundRobin } from './weighted-round-robin.js';

/** What this client's own use tells of a server. */
export interface Load {
  /** Connections to it that are lent, and callers that wait for one. */
  inFlight(server: Server): number;
  /** ms that statements took on it, the last ones most; fades while it gets none; 0: not known. */
  latency(server: Server): number;
}

/** Chooses one of the candidates (never called with none). Pure but for its own counters; allocates nothing on a repeated array. */
export type Balancer = (candidates: readonly Server[], load: Load) => Server;

export type BalancerName = 'weightedRoundRobin' | 'roundRobin' | 'random' | 'leastBusy' | 'leastLatency';

/** Name → factory: the one place to add a balancing algorithm. */
export const balancers: Readonly<Record<BalancerName, () => Balancer>> = {
  weightedRoundRobin,
  roundRobin,
  random,
  leastBusy,
  leastLatency,
};

/** In turn; weights do not count. */
function roundRobin(): Balancer {
  let turn = -1;
  return candidates => {
    turn = (turn + 1) % candidates.length;
    return candidates[turn] as Server;
  };
}

/** Weights do not count. */
function random(): Balancer {
  const number = randomNumbers();
  return candidates => candidates[Math.floor(number() * candidates.length)] as Server;
}

/**
 * Of two drawn at random the one with less in flight for its weight; drawn by weight when that is the same. (The least of all would be
 * everybody's choice at once, where many processes balance.)
 */
function leastBusy(): Balancer {
  const number = randomNumbers();
  return (candidates, load) => {
    const { length } = candidates;
    const first = Math.floor(number() * length);
    const one = candidates[first] as Server;
    if (length === 1) return one;
    const other = candidates[(first + 1 + Math.floor(number() * (length - 1))) % length] as Server;
    const difference = load.inFlight(one) * other.weight - load.inFlight(other) * one.weight;
    if (difference !== 0) return difference < 0 ? one : other;
    return number() * (one.weight + other.weight) < one.weight ? one : other;
  };
}

/** ms of a server that nothing is known of yet: it is asked soon, but not by everybody at once. */
const UNKNOWN_LATENCY = 0.01;

/** The server whose statements took least lately, times what it has in flight already; in turn among equals. Weights do not count. */
function leastLatency(): Balancer {
  let turn = -1;
  return (candidates, load) => {
    const { length } = candidates;
    turn = (turn + 1) % length;
    let best = candidates[turn] as Server;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const server = candidates[(turn + i) % length] as Server;
      const cost = (load.latency(server) || UNKNOWN_LATENCY) * (load.inFlight(server) + 1);
      if (cost < least) {
        least = cost;
        best = server;
      }
    }
    return best;
  };
}

/** An application's own function, held to what balancers promise. */
export function ownBalancer(choose: Balancer): Balancer {
  return (candidates, load) => {
    const server = chosen(choose, candidates, load);
    if (candidates.includes(server)) return server;
    throw badInput(
      TypeError,
      'FABRIC_BAD_OPTION',
      'balancer',
      'expected a function that returns one of the candidates',
    );
  };
}

/** @throws what the function throws, as an Error. */
function chosen(choose: Balancer, candidates: readonly Server[], load: Load): Server {
  try {
    return choose(candidates, load);
  } catch (thrown) {
    if (thrown instanceof Error) throw thrown;
    throw new Error(`The balancer threw what is no Error: ${String(thrown)}`);
  }
}

/** 0 to below 1 (xorshift, 32 bits); each balancer has its own sequence. */
function randomNumbers(): () => number {
  let state = Math.floor(Math.random() * 0xffff_ffff) + 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}
