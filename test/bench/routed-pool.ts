import mysql from 'mysql2/promise';
import fabric from 'mysql2-fabric/promise';
import { drive, median, percentile, type Throughput } from './figures.js';
import type { Sandbox } from './sandbox.js';

/**
 * The routed pool against mysql2's own on the same server: what routing costs. Pairs alternate, so that a drift of the machine hits both,
 * and are many and short, so that a moment's disturbance spoils few of them. Each half has a pool of its own: some connections are a tenth
 * faster than others for as long as they last (the scheduler has put their threads somewhere), which must not favour one side for long.
 */

const PAIRS = 71;
/** ms of each half of a pair, and before it, while statements are prepared. */
const DURATION = { counted: 100, before: 50 };
/** ms per pool and row for the compiler. */
const WARM_UP = 600;
const CONNECTIONS = 10;
const CALLERS = [1, 10, 100] as const;
const ROWS = 1_000;

type Pool = mysql.Pool;
type Call = (pool: Pool) => Promise<unknown>;

const STATEMENTS = [
  { what: 'query, SELECT 1', verb: 'query', sql: 'SELECT 1', values: () => undefined },
  { what: 'query, row by key', verb: 'query', sql: 'SELECT id, name FROM bench WHERE id = ?', values: anyKey },
  { what: 'execute, SELECT 1', verb: 'execute', sql: 'SELECT 1', values: () => undefined },
  { what: 'execute, row by key', verb: 'execute', sql: 'SELECT id, name FROM bench WHERE id = ?', values: anyKey },
] as const;

function anyKey(): number[] {
  return [1 + Math.floor(Math.random() * ROWS)];
}

export interface PoolFigures {
  readonly what: string;
  readonly callers: number;
  readonly bare: number;
  readonly routed: number;
  /** Median of the pairs' ratios routed / bare. */
  readonly ratio: number;
  /** Median of the pairs' ratios of the 99th percentile of the latencies, routed / bare. */
  readonly p99Ratio: number;
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
  const create = (): Pool => mysql.createPool({ ...account, ...size, host: primary.host, port: primary.port });
  const [bare, other, routed] = [create(), create(), fabric.createPool({ ...clientOptions, ...size })];
  await bare.query('CREATE TABLE bench (id INT PRIMARY KEY, name VARCHAR(40))');
  await bare.query('INSERT INTO bench VALUES ?', [Array.from({ length: ROWS }, (_, i) => [i + 1, `name ${i + 1}`])]);
  const figures: PoolFigures[] = [];
  for (const { what, verb, sql, values } of STATEMENTS) {
    const call: Call = pool => pool[verb as 'query'](sql, values());
    for (const callers of CALLERS) figures.push(await compare(what, callers, call, bare, routed));
  }
  for (const callers of CALLERS)
    figures.push(await compare('mysql2 with itself', callers, pool => pool.query('SELECT 1'), bare, other));
  await bare.query('DROP TABLE bench');
  await Promise.all([bare.end(), other.end(), routed.end()]);
  return figures;
}

async function compare(what: string, callers: number, call: Call, bare: Pool, routed: Pool): Promise<PoolFigures> {
  const half = async (pool: Pool, duration: number): Promise<Throughput> => {
    await renewConnections(pool);
    await drive(callers, DURATION.before, () => call(pool));
    return drive(callers, duration, () => call(pool));
  };
  for (const pool of [bare, routed]) await half(pool, WARM_UP);
  const pairs: { bare: Throughput; routed: Throughput }[] = [];
  for (let i = 0; i < PAIRS; i++) {
    // The first of a pair alternates too: the second finds warmer caches.
    if (i % 2 === 0) {
      const first = await half(bare, DURATION.counted);
      pairs.push({ bare: first, routed: await half(routed, DURATION.counted) });
    } else {
      const first = await half(routed, DURATION.counted);
      pairs.push({ routed: first, bare: await half(bare, DURATION.counted) });
    }
  }
  const ratio = (figure: (half: Throughput) => number): number =>
    median(pairs.map(pair => figure(pair.routed) / figure(pair.bare)));
  return {
    what,
    callers,
    bare: median(pairs.map(pair => pair.bare.perSecond)),
    routed: median(pairs.map(pair => pair.routed.perSecond)),
    ratio: ratio(half => half.perSecond),
    p99Ratio: ratio(half => percentile(half.latencies, 99)),
    cpuRatio: ratio(half => half.cpu),
    bareLatency: latency(pairs.flatMap(pair => pair.bare.latencies)),
    routedLatency: latency(pairs.flatMap(pair => pair.routed.latencies)),
  };
}

async function renewConnections(pool: Pool): Promise<void> {
  const all = await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.getConnection()));
  for (const connection of all) connection.destroy();
}

function latency(values: readonly number[]): [number, number] {
  return [percentile(values, 50), percentile(values, 99)];
}
