import { MODE_READONLY, type Server, type Topology } from '../wire/topology.js';
import { type Balancer, type BalancerName, balancers, type Load, ownBalancer } from './balancers.js';
import { candidates, lastResort, type RequestMode } from './route.js';
import { SlowStart } from './slow-start.js';

/** What the chooser must know of the servers' connections. */
export interface Conditions extends Load {
  /** It did not let us connect a moment ago. */
  cooling(server: Server): boolean;
}

/** One server for a request: of those that may serve it, the balancer's choice that does not cool. */
export class Chooser {
  readonly #create: () => Balancer;
  readonly #conditions: Conditions;
  readonly #slowStart: SlowStart;
  /** By group: one for reads, one for writes. */
  readonly #balancers = new Map<string, readonly [Balancer, Balancer]>();

  /** @param slowStart ms in which the share of a new server grows. */
  constructor(balancer: BalancerName | Balancer, slowStart: number, conditions: Conditions) {
    this.#create = typeof balancer === 'function' ? () => ownBalancer(balancer) : balancers[balancer];
    this.#conditions = conditions;
    this.#slowStart = new SlowStart(slowStart);
  }

  /** A group's servers are these now. */
  adopt(topology: Topology): void {
    this.#slowStart.adopt(topology);
  }

  /**
   * undefined: nobody may serve it now.
   * @throws what an application's own balancer throws.
   */
  choose(topology: Topology, mode: RequestMode): Server | undefined {
    const conditions = this.#conditions;
    const able = candidates(topology, mode);
    const only = able.length === 1 ? able[0] : undefined;
    if (only !== undefined && !conditions.cooling(only)) return only;
    if (able.length > 1) {
      const pick = this.#balancer(topology.group, mode);
      let due: Server | undefined;
      for (let tries = 0; tries <= able.length; tries++) {
        const server = pick(able, conditions);
        if (conditions.cooling(server)) continue;
        if (this.#slowStart.admits(server, able)) return server;
        due ??= server;
      }
      const warm = able.filter(server => !conditions.cooling(server));
      const other = warm.find(server => !this.#slowStart.starting(server)) ?? due ?? warm[0];
      if (other !== undefined) return other;
    }
    return lastResort(topology, mode).find(server => !conditions.cooling(server));
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
