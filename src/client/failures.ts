import { MODE_READONLY, type Server, type Topology } from '../wire/topology.js';
import { type ErrorFacts, FabricError } from './errors.js';
import type { ClientConfig } from './options.js';
import type { Route } from './route.js';
import type { StatementError, Verdict } from './verdict.js';

/** What the session says when a statement fails. */

/** Every error of a routed statement says how far the statement got and where. */
export function annotate(
  error: StatementError,
  { outcome }: Pick<Verdict, 'outcome'>,
  route: Route,
  server: Server | null,
): void {
  const facts: ErrorFacts = { outcome, group: route.group, server, mode: route.mode };
  error.fabric = facts;
}

export function unknownGroup(group: string): FabricError {
  return new FabricError('FABRIC_NO_SERVER', `Group (${group}) has no servers, or does not exist`);
}

export function noServer(topology: Topology, { group, mode }: Route, waited: number): FabricError {
  const wanted = mode === MODE_READONLY ? 'reads' : 'writes';
  return new FabricError(
    'FABRIC_NO_SERVER',
    `Group (${group}) had no server for ${wanted} for ${waited} ms (failoverTimeout); it has ${topology.servers.length} server(s)`,
  );
}

/** What a statement on a connection without a group fails with. */
export function noGroup(): FabricError {
  return new FabricError(
    'FABRIC_NO_SERVER',
    "No group is chosen: setProperty({ group: 'name' }) first, or give group in the options",
  );
}

export function allBusy(
  { host, port }: Server,
  { acquireTimeout, maxConnections }: Pick<ClientConfig, 'acquireTimeout' | 'maxConnections'>,
  busy: number,
  cause?: unknown,
): FabricError {
  const state =
    busy < maxConnections
      ? `${busy} of ${maxConnections} are busy, and to connect takes longer`
      : `all ${maxConnections} are busy`;
  const reason = `No connection to ${host}:${port} came free within ${acquireTimeout} ms (acquireTimeout); ${state}`;
  return new FabricError('FABRIC_TIMEOUT', reason, { cause });
}

export function sessionEnded(): FabricError {
  return new FabricError('FABRIC_CLOSED', 'The connection or pool was ended');
}

export function tooManyWait({ host, port }: Server): FabricError {
  const reason = `All connections to ${host}:${port} are busy, and no more callers may wait (queueLimit)`;
  return new FabricError('FABRIC_QUEUE_LIMIT', reason);
}
