import { setTimeout as sleep } from 'node:timers/promises';
import { createFakeFabric } from '../fakes/fake-fabric.js';

/** The node that is thrown at, in a process of its own: its measures can be asked for, and whatever it does not handle ends it. */

export interface Measures {
  /** Bytes, after everything that is no longer needed was collected. */
  readonly heap: number;
  readonly rss: number;
  /** Connections that are open. */
  readonly sockets: number;
  /** What the node complained of, as far as it is the endpoints' affair. */
  readonly complaints: readonly string[];
}

export interface Listening {
  readonly xmlrpc: number;
  readonly mysql: number;
}

for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const) {
  process.on(event, (problem: unknown) => {
    console.error(`${event}: ${problem instanceof Error ? problem.stack : problem}`);
    process.exit(1);
  });
}

const endpoint = { address: '127.0.0.1:0', password: 'secret', maxConnections: 400 };
const { fabric, complaints } = await createFakeFabric({
  protocol: { xmlrpc: endpoint, mysql: endpoint },
});
// The parent has gone.
process.on('disconnect', () => process.exit(1));
process.on('message', (asked: 'measure' | 'stop') => {
  if (asked === 'stop') void fabric.stop().then(() => process.disconnect());
  else void measure().then(measures => process.send?.(measures));
});
const { xmlrpc, mysql } = fabric.address;
process.send?.({ xmlrpc: xmlrpc.port, mysql: mysql?.port ?? 0 } satisfies Listening);

async function measure(): Promise<Measures> {
  for (let n = 0; n < 4; n += 1) {
    globalThis.gc?.();
    await sleep(20);
  }
  const { heapUsed, rss } = process.memoryUsage();
  return {
    heap: heapUsed,
    rss,
    sockets: process.getActiveResourcesInfo().filter(name => /^T(CPSocket|LSWrap)/.test(name)).length,
    complaints: complaints.filter(sentence => /broke|endpoint|could not be (written|carried)/.test(sentence)),
  };
}
