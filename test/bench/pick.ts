import { Bench } from 'tinybench';
import { balancers, type Load } from '../../src/client/balancers.js';
import type { Server } from '../../src/wire/topology.js';

/** What one choice among three servers costs, for each balancer. */

export interface PickFigures {
  readonly balancer: string;
  /** Median, in ns. */
  readonly nanoseconds: number;
}

const PICKS_PER_RUN = 1_000;

const LOAD: Load = { inFlight: ({ port }) => port & 3, latency: ({ weight }) => weight };

export async function benchPicks(): Promise<PickFigures[]> {
  const bench = new Bench({ time: 500 });
  for (const [name, create] of Object.entries(balancers)) {
    const pick = create();
    const servers = [1, 0.5, 0.25].map(server);
    bench.add(name, () => {
      for (let i = 0; i < PICKS_PER_RUN; i++) pick(servers, LOAD);
    });
  }
  await bench.run();
  return bench.tasks.map(task => {
    if (task.result.state !== 'completed') throw new Error(`${task.name} did not complete`);
    return { balancer: task.name, nanoseconds: (task.result.latency.p50 * 1e6) / PICKS_PER_RUN };
  });
}

function server(weight: number, index: number): Server {
  return { uuid: `u${index}`, group: 'g', host: 'h', port: 3306 + index, mode: 1, status: 2, weight };
}
