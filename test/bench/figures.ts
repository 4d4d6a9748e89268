/** Small statistics for the benchmarks' tables. */

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.ceil((percent / 100) * sorted.length);
  return sorted[Math.max(0, rank - 1)] ?? Number.NaN;
}

export interface Throughput {
  readonly perSecond: number;
  /** µs of this process's CPU per call: steadier than the rate when the machine does other things too. */
  readonly cpu: number;
  /** ms of each call. */
  readonly latencies: readonly number[];
}

/** Runs `call` from `callers` callers at once for `duration` ms, each starting the next call when the one before has ended. */
export async function drive(callers: number, duration: number, call: () => Promise<unknown>): Promise<Throughput> {
  const latencies: number[] = [];
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now - began < duration; ) {
      await call();
      const after = performance.now();
      latencies.push(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const elapsed = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { perSecond: (latencies.length / elapsed) * 1_000, cpu: (user + system) / latencies.length, latencies };
}
