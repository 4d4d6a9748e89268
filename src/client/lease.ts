import type { Server, Topology } from '../wire/topology.js';
import { type Physical, ping } from './physical.js';
import { candidates, lastResort, type Route } from './route.js';
import type { Session } from './session.js';
import type { Hold } from './statement.js';
import { unlessAborted } from './within.js';

/** ms for the ping that validates a connection after idleness. */
const PING_TIMEOUT = 1_000;

/** The connection to a server that a logical connection holds, and the route that it was taken for. */
export class Lease {
  readonly physical: Physical;
  readonly route: Route;
  readonly #session: Session;
  /** The topology in which its server was last seen to be right. */
  #checked: Topology | undefined;

  constructor(session: Session, physical: Physical, route: Route) {
    this.#session = session;
    this.physical = physical;
    this.route = route;
  }

  /**
   * It may run the next statement, as far as is known without asking.
   * @param bound no other server has the session: then one that serves as last resort is as good as any.
   */
  fits(route: Route, bound: boolean): boolean {
    return this.#serves(this.#session.topologies.peek(route.group), route, bound) && !this.#isStale;
  }

  /** As `fits`, by the topology as it is now; a connection that was not used for long is validated. */
  async stillFits(route: Route, { signal }: Hold, bound: boolean): Promise<boolean> {
    if (!isSame(this.route, route)) return false;
    const asked = this.#session.topologies.get(route.group);
    const topology = await (signal === undefined ? asked : unlessAborted(asked, signal, () => {}));
    if (!this.#serves(topology, route, bound)) return false;
    if (this.#isStale && !(await ping(this.physical, PING_TIMEOUT))) return false;
    this.used();
    return true;
  }

  /** Its server has left the role, as far as is known. */
  get isMisplaced(): boolean {
    const topology = this.#session.topologies.peek(this.route.group);
    return topology !== undefined && !this.#serves(topology, this.route, true);
  }

  /** Something ran on it. */
  used(): void {
    this.physical.idleTick = this.#session.pools.tick;
  }

  get #isStale(): boolean {
    return this.physical.home.isStale(this.physical);
  }

  #serves(topology: Topology | undefined, route: Route, bound: boolean): boolean {
    if (topology === undefined || !isSame(this.route, route)) return false;
    if (topology === this.#checked) return true;
    const isServer = ({ uuid }: Server): boolean => uuid === this.physical.server.uuid;
    const able = candidates(topology, route.mode);
    if (able.some(isServer)) {
      this.#checked = topology;
      return true;
    }
    const stays = bound || able.every(server => this.#session.pools.cooling(server));
    return stays && lastResort(topology, route.mode).some(isServer);
  }
}

function isSame(one: Route, other: Route): boolean {
  return one === other || (one.group === other.group && one.mode === other.mode);
}
