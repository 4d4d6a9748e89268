import {
  MODE_NAMES,
  MODE_READONLY,
  type Server,
  STATUS_FAULTY,
  STATUS_NAMES,
  type Topology,
} from '../wire/topology.js';
import type { Target } from './properties.js';
import { candidates, lastResort, type RequestMode } from './route.js';

/** Why a statement goes where it goes, in data and in words. Pure: it decides nothing, asks nobody, and moves no balancer on. */

export interface Explanation {
  /** null: no group is chosen. */
  readonly group: string | null;
  readonly mode: RequestMode;
  /** Where the next statement goes; null: to one of several, or to nobody. */
  readonly server: Server | null;
  /** Who may serve it by role. */
  readonly candidates: readonly Candidate[];
  /** The group's other servers. */
  readonly others: readonly { readonly server: Server; readonly why: string }[];
  /** null: none was fetched yet. */
  readonly topology: TopologyOrigin | null;
  /** What happens when none of the candidates can be reached. */
  readonly otherwise: string;
  /** All of it, as sentences. */
  readonly text: string;
}

export interface Candidate {
  readonly server: Server;
  /** It did not let us connect a moment ago, so the others are asked first. */
  readonly cooling: boolean;
  /** Of all statements like this one, from 0 to 1, as its weight would have it; balancers may mind other things, too. */
  readonly share: number;
}

export interface TopologyOrigin {
  /** The Fabric node that answered last, `host:port`. */
  readonly node: string;
  /** ms since a node confirmed it. */
  readonly age: number;
  /** ms after which a node is asked again. */
  readonly ttl: number;
  /** A statement failed in a way that speaks of a change: a node is asked before the next one. */
  readonly inDoubt: boolean;
  /** No node answered lately: it is used for as long as that lasts. */
  readonly unconfirmed: boolean;
}

/** What is known of a group's topology. */
export interface Known extends Omit<TopologyOrigin, 'node'> {
  readonly topology: Topology;
}

/** What a decision hangs on. */
export interface Situation {
  readonly known: Known | undefined;
  readonly node: string;
  readonly cooling: (server: Server) => boolean;
  /** The balancer's name; anything else is the application's own. */
  readonly balancer: unknown;
  /** ms. */
  readonly failoverTimeout: number;
  /** The server that the connection is bound to by a transaction. */
  readonly boundTo: Server | undefined;
}

export function explain(target: Target, situation: Situation): Explanation {
  const { group, mode } = target;
  const { known, node, failoverTimeout } = situation;
  const nothing = { group, mode, server: null, candidates: [], others: [], topology: null };
  if (group === null) {
    const otherwise = "Statements fail with FABRIC_NO_SERVER until setProperty({ group: 'name' }).";
    return { ...nothing, otherwise, text: `No group is chosen. ${otherwise}` };
  }
  if (known === undefined) {
    const otherwise = `The first statement asks a Fabric node (${node} first), and fails with FABRIC_UNREACHABLE when none answers.`;
    return { ...nothing, otherwise, text: `Nothing is known of group ${group} yet. ${otherwise}` };
  }
  const { topology, ...facts } = known;
  const able = ableOf(topology, mode, situation.cooling);
  const others = othersOf(topology, mode);
  const otherwise = otherwiseOf(topology, mode, failoverTimeout);
  const origin = { node, ...facts };
  const server = situation.boundTo ?? chosen(able, lastResort(topology, mode), situation.cooling);
  const text = [
    decisionOf(target, able, server, situation),
    ...able
      .filter(({ cooling }) => cooling)
      .map(({ server }) => `${at(server)} is left alone for a moment: it let nobody connect.`),
    ...others.map(({ server, why }) => `Not ${at(server)}: ${why}.`),
    sourceOf(origin),
    otherwise,
  ].join(' ');
  return { group, mode, server, candidates: able, others, topology: origin, otherwise, text };
}

function ableOf(topology: Topology, mode: RequestMode, cooling: (server: Server) => boolean): Candidate[] {
  const able = candidates(topology, mode);
  const total = able.reduce((sum, { weight }) => sum + weight, 0);
  return able.map(server => ({ server, cooling: cooling(server), share: server.weight / total }));
}

function chosen(
  able: readonly Candidate[],
  last: readonly Server[],
  cooling: (server: Server) => boolean,
): Server | null {
  const warm = able.filter(candidate => !candidate.cooling).map(({ server }) => server);
  const open = warm.length > 0 ? warm : last.filter(server => !cooling(server));
  return open.length === 1 ? (open[0] ?? null) : null;
}

function decisionOf(
  { group, mode }: Target,
  able: readonly Candidate[],
  server: Server | null,
  { boundTo, balancer }: Situation,
): string {
  if (boundTo !== undefined) return `Everything goes to ${at(boundTo)}: a transaction is open there.`;
  const what = `${mode === MODE_READONLY ? 'Reads' : 'Writes'} of group ${group} (${MODE_NAMES[mode]})`;
  if (able.length === 0) return `${what} can go nowhere now.`;
  if (server !== null) return `${what} go to ${at(server)}, ${reason(server, able)}.`;
  const warm = able.filter(({ cooling }) => !cooling);
  if (warm.length === 0) return `${what} wait: no server lets us connect.`;
  const weighed = balancer === 'weightedRoundRobin';
  const shares = warm.map(
    ({ server, share }) => at(server) + (weighed ? ` (${Math.round(share * 100)} % by weight)` : ''),
  );
  const by = typeof balancer === 'string' ? balancer : "the application's own balancer";
  return `${what} go to one of ${shares.join(', ')}, as ${by} decides.`;
}

function reason(server: Server, able: readonly Candidate[]): string {
  if (!able.some(candidate => candidate.server === server)) return 'the primary, because no other can be reached';
  return able.length > 1 ? 'the only one that can be reached' : `the only one that serves them (${roleOf(server)})`;
}

function othersOf(topology: Topology, mode: RequestMode): Explanation['others'] {
  const able = new Set(candidates(topology, mode));
  const reserve = new Set(lastResort(topology, mode));
  return topology.servers
    .filter(server => !able.has(server))
    .map(server => ({ server, why: whyNot(server, reserve.has(server)) }));
}

function whyNot(server: Server, reserve: boolean): string {
  if (server.status === STATUS_FAULTY) return 'it is FAULTY';
  return reserve ? 'it is the primary, and others serve reads' : `it is ${roleOf(server)}`;
}

function otherwiseOf(topology: Topology, mode: RequestMode, failoverTimeout: number): string {
  const [reserve] = lastResort(topology, mode).filter(server => !candidates(topology, mode).includes(server));
  const waits = `a statement is held for up to ${failoverTimeout} ms (failoverTimeout) for the group to have one, then fails`;
  return reserve === undefined
    ? `When no server can take it, ${waits}.`
    : `When none of them can be reached, ${at(reserve)}, the primary, serves; when nobody can, ${waits}.`;
}

function sourceOf({ node, age, ttl, inDoubt, unconfirmed }: TopologyOrigin): string {
  const source = `The topology is from the Fabric node ${node}, confirmed ${Math.round(age)} ms ago`;
  if (inDoubt) return `${source}; a statement failed since, so the node is asked before the next one.`;
  if (unconfirmed) return `${source}; no Fabric node answers now, so it stays in use.`;
  return `${source}; after ${Math.round(ttl)} ms it is asked again.`;
}

function roleOf({ status, mode }: Server): string {
  return `${STATUS_NAMES[status]}, ${MODE_NAMES[mode]}`;
}

function at({ host, port }: Server): string {
  return `${host}:${port}`;
}
