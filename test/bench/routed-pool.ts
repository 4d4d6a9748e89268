import mysql from 'mysql2/promise';
import fabric from 'mysql2-fabric/promise';
import { drive, median, percentile, type Throughput } from './figures.js';
import type { Sandbox } from './sandbox.js';

/** The routed pool against mysql2's own on the same server: what routing costs. Pairs alternate, so that a drift of the machine hits both. */

const PAIRS = 21;
const DURATION = 700;
const CONNECTIONS = 10;

export interface PoolFigures {
  readonly what: string;
  readonly callers: number;
  readonly bare: number;
  readonly routed: number;
  /** Median of the pairs' ratios routed / bare. */
  readonly ratio: number;
  /** Median of the pairs' ratios of this process's CPU per call, routed / bare. */
  readonly cpuRatio: number;
  readonly bareLatency: readonly [p50: number, p99: number];
  readonly routedLatency: readonly [p50: number, p99: number];
}

export async function benchRoutedPool({ servers, clientOptions }: Sandbox): Promise<PoolFigures[]> {
  const [primary] = servers;
  if (primary === undefined) throw new Error('no server');
  const { fabric: _fabric, group: _group, ...account } = clientOptions;
  const size = { connectionLimit: CONNECTIONS };
  const bare = mysql.createPool({ ...account, ...size, host: primary.host, port: primary.port });
  const routed = fabric.createPool({ ...clientOptions, ...size });
  const figures = [
    await compare(
      'query, 1 caller',
      1,
      () => bare.query('SELECT 1'),
      () => routed.query('SELECT 1'),
    ),
    await compare(
      'query, 10 callers',
      10,
      () => bare.query('SELECT 1'),
      () => routed.query('SELECT 1'),
    ),
    await compare(
      'query, 50 callers',
      50,
      () => bare.query('SELECT 1'),
      () => routed.query('SELECT 1'),
    ),
    await compare(
      'execute, 10 callers',
      10,
      () => bare.execute('SELECT ? AS n', [1]),
      () => routed.execute('SELECT ? AS n', [1]),
    ),
  ];
  await Promise.all([bare.end(), routed.end()]);
  return figures;
}

async function compare(
  what: string,
  callers: number,
  bare: () => Promise<unknown>,
  routed: () => Promise<unknown>,
): Promise<PoolFigures> {
  await drive(callers, 500, bare);
  await drive(callers, 500, routed);
  const pairs: { bare: Throughput; routed: Throughput }[] = [];
  for (let i = 0; i < PAIRS; i++) {
    // The first of a pair alternates too: the second finds warmer caches.
    if (i % 2 === 0) {
      const first = await drive(callers, DURATION, bare);
      pairs.push({ bare: first, routed: await drive(callers, DURATION, routed) });
    } else {
      const first = await drive(callers, DURATION, routed);
      pairs.push({ routed: first, bare: await drive(callers, DURATION, bare) });
    }
  }
  return {
    what,
    callers,
    bare: median(pairs.map(pair => pair.bare.perSecond)),
    routed: median(pairs.map(pair => pair.routed.perSecond)),
    ratio: median(pairs.map(pair => pair.routed.perSecond / pair.bare.perSecond)),
    cpuRatio: median(pairs.map(pair => pair.routed.cpu / pair.bare.cpu)),
    bareLatency: latency(pairs.flatMap(pair => pair.bare.latencies)),
    routedLatency: latency(pairs.flatMap(pair => pair.routed.latencies)),
  };
}

function latency(values: readonly number[]): [number, number] {
  return [percentile(values, 50), percentile(values, 99)];
}
