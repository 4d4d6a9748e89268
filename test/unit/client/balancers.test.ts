import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Balancer, balancers } from '../../../src/client/balancers.js';
import type { Server } from '../../../src/wire/topology.js';

const create = balancers.weightedRoundRobin;

function server(uuid: string, weight: number): Server {
  return { uuid, group: 'g', host: uuid, port: 3306, mode: 1, status: 2, weight };
}

function servers(...weights: number[]): Server[] {
  return weights.map((weight, i) => server(`s${i}`, weight));
}

function picks(balancer: Balancer, candidates: readonly Server[], count: number): string[] {
  return Array.from({ length: count }, () => balancer(candidates).uuid);
}

/** The most by which any server's count ever differs from its exact share. */
function worstDeviation(candidates: readonly Server[], picked: readonly string[]): number {
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  const counts = new Map(candidates.map(({ uuid }) => [uuid, 0]));
  let worst = 0;
  for (const [n, uuid] of picked.entries()) {
    counts.set(uuid, (counts.get(uuid) ?? 0) + 1);
    for (const { uuid: name, weight } of candidates) {
      worst = Math.max(worst, Math.abs((counts.get(name) ?? 0) - ((n + 1) * weight) / total));
    }
  }
  return worst;
}

const weights = fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 1, maxLength: 9 });

describe('weightedRoundRobin', () => {
  it('is off by less than one pick after every pick, for any weights', () => {
    fc.assert(
      fc.property(weights, given => {
        const candidates = servers(...given);
        expect(worstDeviation(candidates, picks(create(), candidates, 600))).toBeLessThan(1);
      }),
      { numRuns: 200 },
    );
  });

  it('is off by less than one pick for whole weights such as 1000:1', () => {
    const whole = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(whole, given => {
        const candidates = servers(...given);
        expect(worstDeviation(candidates, picks(create(), candidates, 3_000))).toBeLessThan(1);
      }),
      { numRuns: 40 },
    );
  });

  it('takes turns with equal weights', () => {
    const picked = picks(create(), servers(1, 1, 1), 30);
    for (let n = 0; n < 30; n += 3) expect(new Set(picked.slice(n, n + 3)).size).toBe(3);
  });

  it('picks nobody in bursts: the light one comes evenly spread between the heavy ones', () => {
    const picked = picks(create(), servers(0.8, 0.2), 1_000);
    const light = picked.flatMap((uuid, n) => (uuid === 's1' ? [n] : []));
    const gaps = light.slice(1).map((at, i) => at - (light[i] ?? 0));
    expect(light).toHaveLength(200);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(4);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(6);
  });

  it('always picks the only one', () => {
    expect(new Set(picks(create(), servers(0.3), 10))).toEqual(new Set(['s0']));
  });

  it('keeps no state that another balancer shares', () => {
    const candidates = servers(1, 1);
    const first = create();
    const expected = picks(create(), candidates, 4);
    first(candidates);
    expect(picks(create(), candidates, 4)).toEqual(expected);
  });

  it('goes on where it was when a refresh gives the same servers as other objects', () => {
    const refreshed = create();
    const steady = create();
    const candidates = servers(1, 0.5, 0.25);
    const after = Array.from({ length: 140 }, () => refreshed(candidates.map(each => ({ ...each }))).uuid);
    expect(after).toEqual(picks(steady, candidates, 140));
  });

  it('stays fair when servers come, go and change their weight', () => {
    const change = fc.uniqueArray(fc.tuple(fc.nat(6), fc.double({ min: 0.05, max: 1, noNaN: true })), {
      selector: ([id]) => id,
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(change, fc.integer({ min: 1, max: 50 })), { maxLength: 20 }),
        change,
        (past, last) => {
          const balancer = create();
          const candidatesOf = (of: [number, number][]) => of.map(([id, weight]) => server(`s${id}`, weight));
          for (const [of, count] of past) picks(balancer, candidatesOf(of), count);
          const now = candidatesOf(last);
          const picked = picks(balancer, now, 400);
          // what was owed from before is worth a few picks, not a drift
          expect(worstDeviation(now, picked)).toBeLessThan(1 + now.length);
          expect(new Set(picked).size).toBe(now.length);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('a pick allocates nothing', () => {
    const balancer = create();
    const candidates = servers(1, 0.5, 0.25, 0.125);
    picks(balancer, candidates, 1_000);
    const run = (count: number): number => {
      const before = process.memoryUsage().heapUsed;
      for (let n = 0; n < count; n += 1) balancer(candidates);
      return process.memoryUsage().heapUsed - before;
    };
    run(100_000);
    const grown = Math.min(...Array.from({ length: 5 }, () => run(100_000)));
    expect(grown).toBeLessThan(400_000); // 4 bytes per pick: no object is that small
  });
});
