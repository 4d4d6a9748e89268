import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { RpcEndpoint } from '../../src/client/rpc-endpoint.js';
import { encodeCall } from '../../src/wire/xmlrpc.js';
import { drive, median, percentile } from './figures.js';
import { fabricAccount, GROUP, type Sandbox } from './sandbox.js';

/** Authenticated `dump.servers` calls over HTTP against one node (one process, so one core), with CPU time as the node's process counts it. */

export interface DumpFigures {
  readonly callers: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Calls that one second of the node's CPU would answer. */
  readonly perCpuSecond: number;
}

const ROUNDS = 5;
const CALLERS = 8;

export async function benchDumpServers({ servers }: Sandbox): Promise<DumpFigures> {
  const child = fork(fileURLToPath(new URL('./node-process.ts', import.meta.url)), [
    GROUP,
    ...servers.map(server => server.address),
  ]);
  try {
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    const endpoint = new RpcEndpoint({ host: '127.0.0.1', port, tls: null, ...fabricAccount });
    const message = encodeCall('dump.servers', [0, GROUP]);
    // Not decoded: the node is measured, not this process.
    const call = async (): Promise<void> => {
      const reply = await endpoint.post(message, 5_000, 'repeatable');
      if (reply.split(`<string>${GROUP}</string>`).length !== servers.length + 1)
        throw new Error(`unexpected: ${reply}`);
    };
    await drive(CALLERS, 1_000, call);
    const rounds = [];
    for (let i = 0; i < ROUNDS; i++) {
      const before = await cpuSeconds(child);
      const { perSecond, latencies } = await drive(CALLERS, 2_000, call);
      const cpu = (await cpuSeconds(child)) - before;
      rounds.push({ perSecond, latencies, perCpuSecond: latencies.length / cpu });
    }
    endpoint.close();
    const latencies = rounds.flatMap(round => round.latencies);
    return {
      callers: CALLERS,
      perSecond: median(rounds.map(round => round.perSecond)),
      perCpuSecond: median(rounds.map(round => round.perCpuSecond)),
      p50: percentile(latencies, 50),
      p99: percentile(latencies, 99),
    };
  } finally {
    child.kill();
  }
}

async function cpuSeconds(child: ReturnType<typeof fork>): Promise<number> {
  child.send('cpu');
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: number }];
  return cpu / 1e6;
}
