import { setTimeout as sleep } from 'node:timers/promises';

/** What a process holds on to, and when that is a leak. */

export interface Footprint {
  /** Statements and changes of topology so far. */
  readonly statements: number;
  readonly changes: number;
  /** Bytes that are still used after the garbage was collected. */
  readonly heap: number;
  /** By kind: sockets, timers, ... that keep the process alive. */
  readonly resources: Readonly<Record<string, number>>;
  readonly listeners: number;
}

/** Weak references and finalizers need a turn of the event loop between collections; connections that end have up to a second for it. */
export async function heapAfterCollection(): Promise<number> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('Run with --expose-gc');
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) {
    gc();
    await sleep(200);
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}

export function resourcesNow(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

export interface Bounds {
  /** Bytes by which the heap may be larger at the end than at the first point: what the engine itself learns. */
  readonly heap: number;
  /** Sockets and timers that the workload may have open at any point. */
  readonly resources: number;
}

/** What is wrong with the points, in words; empty when nothing leaks. The first point is taken when all is warm. */
export function leaks(points: readonly Footprint[], bounds: Bounds): string[] {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined || first === last) throw new Error('two points at least');
  const found: string[] = [];
  const grown = last.heap - first.heap;
  if (grown > bounds.heap) {
    const each = (grown / (last.statements - first.statements)).toFixed(2);
    found.push(`the heap grew by ${grown} bytes (${each} per statement), more than ${bounds.heap}`);
  }
  for (const { statements, resources } of points) {
    for (const [kind, count] of Object.entries(resources)) {
      if (count > bounds.resources) found.push(`${count} ${kind} after ${statements} statements`);
    }
  }
  if (last.listeners > first.listeners) found.push(`listeners: ${first.listeners} became ${last.listeners}`);
  return found;
}
