import { MODE_READONLY, type Server, type Topology } from '../wire/topology.js';
import { type Balancer, type BalancerName, balancers } from './balancers.js';
import { candidates, lastResort, type RequestMode } from './route.js';

/** One server for a request: of those that may serve it, the balancer's choice that does not cool. */
export class Chooser {
  readonly #create: () => Balancer;
  readonly #cooling: (server: Server) => boolean;
  /** By group: one for reads, one for writes. */
  readonly #balancers = new Map<string, readonly [Balancer, Balancer]>();

  constructor(balancer: BalancerName, cooling: (server: Server) => boolean) {
    this.#create = balancers[balancer];
    this.#cooling = cooling;
  }

  /** undefined: nobody may serve it now. */
  choose(topology: Topology, mode: RequestMode): Server | undefined {
    const able = candidates(topology, mode);
    const only = able.length === 1 ? able[0] : undefined;
    if (only !== undefined && !this.#cooling(only)) return only;
    if (able.length > 1) {
      const pick = this.#balancer(topology.group, mode);
      for (let tries = 0; tries <= able.length; tries++) {
        const server = pick(able);
        if (!this.#cooling(server)) return server;
      }
      const other = able.find(server => !this.#cooling(server));
      if (other !== undefined) return other;
    }
    return lastResort(topology, mode).find(server => !this.#cooling(server));
  }

  #balancer(group: string, mode: RequestMode): Balancer {
    let pair = this.#balancers.get(group);
    if (pair === undefined) {
      pair = [this.#create(), this.#create()];
      this.#balancers.set(group, pair);
    }
    return pair[mode === MODE_READONLY ? 0 : 1];
  }
}
