import type { Server, Topology } from '../wire/topology.js';
import { serving } from './route.js';

/** A server that begins to serve, with cold caches, gets its share of requests only little by little. */
export class SlowStart {
  readonly #span: number;
  /** By group: the uuids of the servers that serve. */
  readonly #serving = new Map<string, ReadonlySet<string>>();
  /** Those that began lately, by uuid. */
  readonly #starting = new Map<string, { readonly began: number; credit: number }>();

  /** @param span ms in which its share grows from nothing to all that is due to it; 0: at once. */
  constructor(span: number) {
    this.#span = span;
  }

  /** The servers of a group's first topology have served others before. */
  adopt(topology: Topology): void {
    if (this.#span === 0) return;
    const before = this.#serving.get(topology.group);
    const now = new Set(serving(topology).map(({ uuid }) => uuid));
    this.#serving.set(topology.group, now);
    for (const uuid of before ?? []) if (!now.has(uuid)) this.#starting.delete(uuid);
    if (before === undefined) return;
    for (const uuid of now) if (!before.has(uuid)) this.#starting.set(uuid, { began: performance.now(), credit: 0 });
  }

  /** Its share still grows. */
  starting(server: Server): boolean {
    return this.#starting.has(server.uuid);
  }

  /** Whether a server that was chosen is to serve: as often as it has come to serve by now. Where all begin, nobody can spare them. */
  admits(server: Server, able: readonly Server[]): boolean {
    if (this.#starting.size === 0) return true;
    const start = this.#starting.get(server.uuid);
    if (start === undefined || able.every(each => this.starting(each))) return true;
    const share = (performance.now() - start.began) / this.#span;
    if (share >= 1) this.#starting.delete(server.uuid);
    start.credit += share;
    if (share < 1 && start.credit < 1) return false;
    start.credit -= 1;
    return true;
  }
}
