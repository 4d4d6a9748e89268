import {
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  type Mode,
  type Server,
  STATUS_FAULTY,
  STATUS_PRIMARY,
  type Topology,
} from '../wire/topology.js';

/** What a statement asks for: 1 READONLY, 2 WRITEONLY, 3 READWRITE. */
export type RequestMode = Exclude<Mode, 0>;

/** Where a statement goes. */
export interface Route {
  readonly group: string;
  readonly mode: RequestMode;
}

/** That of a statement which no group was chosen for. */
export const NOWHERE: Route = Object.freeze({ group: '', mode: 3 });

/** The servers of one topology that may take a request, by kind. Made once per topology; pure. */
interface Routes {
  readonly reads: readonly Server[];
  readonly writes: readonly Server[];
  readonly lastResort: readonly Server[];
}

const routesOf = new WeakMap<Topology, Routes>();

/**
 * The read/write rule (the only place where it lives):
 * writes go to the PRIMARY whose mode admits them; reads to servers with mode READ_ONLY, and to a READ_WRITE primary only when there is
 * no other. OFFLINE and FAULTY serve nothing; a WRITE_ONLY primary never serves reads.
 *
 * @returns the candidates, the same array for the same topology; empty when nobody can serve.
 */
export function candidates(topology: Topology, mode: RequestMode): readonly Server[] {
  const routes = routesFor(topology);
  return mode === MODE_READONLY ? routes.reads : routes.writes;
}

/** Who serves when none of the candidates can be reached: for reads the READ_WRITE primary, for writes nobody. */
export function lastResort(topology: Topology, mode: RequestMode): readonly Server[] {
  return mode === MODE_READONLY ? routesFor(topology).lastResort : [];
}

/** The servers that may take a request of some mode. */
export function serving(topology: Topology): readonly Server[] {
  const { reads, writes, lastResort } = routesFor(topology);
  return [...new Set([...reads, ...writes, ...lastResort])];
}

function routesFor(topology: Topology): Routes {
  let routes = routesOf.get(topology);
  if (routes === undefined) {
    routes = makeRoutes(topology.servers);
    routesOf.set(topology, routes);
  }
  return routes;
}

function makeRoutes(servers: readonly Server[]): Routes {
  const primaries = servers.filter(server => server.status === STATUS_PRIMARY);
  const readers = servers.filter(server => server.status !== STATUS_FAULTY && server.mode === MODE_READONLY);
  const readablePrimaries = primaries.filter(server => server.mode === MODE_READWRITE);
  return {
    reads: readers.length > 0 ? readers : readablePrimaries,
    lastResort: readablePrimaries,
    writes: primaries.filter(server => server.mode === MODE_READWRITE || server.mode === MODE_WRITEONLY),
  };
}
