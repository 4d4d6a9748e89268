import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Balancer, balancers, type Load, ownBalancer } from '../../../src/client/balancers.js';
import type { Server } from '../../../src/wire/topology.js';

const create = balancers.weightedRoundRobin;

const AT_REST: Load = { inFlight: () => 0, latency: () => 0 };

function server(uuid: string, weight: number): Server {
  return { uuid, group: 'g', host: uuid, port: 3306, mode: 1, status: 2, weight };
}

function servers(...weights: number[]): Server[] {
  return weights.map((weight, i) => server(`s${i}`, weight));
}

function picks(balancer: Balancer, candidates: readonly Server[], count: number): string[] {
  return Array.from({ length: count }, () => balancer(candidates, AT_REST).uuid);
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

  it.each([
    [[5, 3, 2], 'abacabacbaabacabacba'],
    [[5, 1, 1], 'aabaacaaabaacaaabaac'],
    [[1, 1, 1, 1], 'abcdabcdabcdabcdabcd'],
  ])('gives the turns of %j in this order', (given, turns) => {
    const candidates = given.map((weight, i) => server('abcd'.charAt(i), weight));
    expect(picks(create(), candidates, 20).join('')).toBe(turns);
  });

  it.each([
    [0, 'cccacccbcc'],
    [1, 'ccccbcccac'],
    [4, 'cccccacccc'],
    [7, 'cccccccbcc'],
  ])('pays what is owed when weights change after %i turns', (count, turns) => {
    const balancer = create();
    picks(balancer, [server('a', 8), server('b', 1), server('c', 1)], count);
    const changed = [server('a', 1), server('b', 1), server('c', 8)];
    expect(picks(balancer, changed, 10).join('')).toBe(turns);
  });

  it('serves even when a weight is no number', () => {
    const candidates = servers(Number.NaN, 1);
    expect(candidates).toContain(create()(candidates, AT_REST));
  });

  it('keeps no state that another balancer shares', () => {
    const candidates = servers(1, 1);
    const first = create();
    const expected = picks(create(), candidates, 4);
    first(candidates, AT_REST);
    expect(picks(create(), candidates, 4)).toEqual(expected);
  });

  it('goes on where it was when a refresh gives the same servers as other objects', () => {
    const refreshed = create();
    const steady = create();
    const candidates = servers(1, 0.5, 0.25);
    const after = Array.from(
      { length: 140 },
      () =>
        refreshed(
          candidates.map(each => ({ ...each })),
          AT_REST,
        ).uuid,
    );
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
});

const ALL: Readonly<Record<string, () => Balancer>> = {
  ...balancers,
  'a function': () => ownBalancer(candidates => candidates[0] as Server),
};

const loads = fc.array(fc.record({ inFlight: fc.nat(50), latency: fc.double({ min: 0, max: 5_000, noNaN: true }) }), {
  minLength: 9,
  maxLength: 9,
});

/** Loads by the number in the server's name. */
function loadOf(given: readonly { inFlight: number; latency: number }[]): Load {
  const at = ({ uuid }: Server) => given[Number(uuid.slice(1))] ?? { inFlight: 0, latency: 0 };
  return { inFlight: each => at(each).inFlight, latency: each => at(each).latency };
}

/** How often each was picked. */
function counts(candidates: readonly Server[], picked: readonly string[]): number[] {
  return candidates.map(({ uuid }) => picked.filter(each => each === uuid).length);
}

describe.each(Object.entries(ALL))('every balancer: %s', (_name, make) => {
  it('picks one of the candidates, whatever their weights, loads and changes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(weights, loads), { minLength: 1, maxLength: 12 }), rounds => {
        const balancer = make();
        for (const [given, load] of rounds) {
          const candidates = servers(...given);
          for (let n = 0; n < 5; n += 1) expect(candidates).toContain(balancer(candidates, loadOf(load)));
        }
      }),
      { numRuns: 100 },
    );
  });

  it('always picks the only one', () => {
    expect(new Set(picks(make(), servers(0.3), 10))).toEqual(new Set(['s0']));
  });

  it('does not change the candidates', () => {
    const candidates = Object.freeze(servers(1, 0.5, 0.25).map(each => Object.freeze(each)));
    expect(picks(make(), candidates, 100)).toHaveLength(100);
  });

  it('a pick allocates nothing', () => {
    const balancer = make();
    const candidates = servers(1, 0.5, 0.25, 0.125);
    const load: Load = { inFlight: ({ port }) => port & 3, latency: ({ weight }) => weight };
    const run = (count: number): number => {
      const before = process.memoryUsage().heapUsed;
      for (let n = 0; n < count; n += 1) balancer(candidates, load);
      return process.memoryUsage().heapUsed - before;
    };
    run(100_000);
    const grown = Math.min(...Array.from({ length: 5 }, () => run(100_000)));
    expect(grown).toBeLessThan(400_000); // 4 bytes per pick: no object is that small
  });
});

describe.each(Object.entries(balancers))('each of ours: %s', (_name, make) => {
  it('forgets nobody while all are at rest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), size => {
        const candidates = servers(...Array.from({ length: size }, () => 1));
        expect(new Set(picks(make(), candidates, 60 * size)).size).toBe(size);
      }),
      { numRuns: 30 },
    );
  });
});

const PICKS = 30_000;
/** Six times the standard deviation of a share of that many random picks. */
const CHANCE = 6 * Math.sqrt(0.25 / PICKS);

describe('shares', () => {
  it.each(['roundRobin', 'random', 'leastLatency'] as const)('are equal, whatever the weights: %s', name => {
    const candidates = servers(1, 0.5, 0.01);
    for (const count of counts(candidates, picks(balancers[name](), candidates, PICKS)))
      expect(Math.abs(count / PICKS - 1 / 3)).toBeLessThan(CHANCE);
  });

  it('of roundRobin are off by less than one pick', () => {
    const candidates = servers(1, 1, 1, 1, 1);
    expect(worstDeviation(candidates, picks(balancers.roundRobin(), candidates, 77))).toBeLessThan(1);
  });

  it('of two at rest are as their weights: leastBusy', () => {
    const candidates = servers(0.75, 0.25);
    const [heavy = 0] = counts(candidates, picks(balancers.leastBusy(), candidates, PICKS));
    expect(Math.abs(heavy / PICKS - 0.75)).toBeLessThan(CHANCE);
  });
});

describe('leastBusy', () => {
  it('never picks the one that is busiest for its weight', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 50 }), { minLength: 2, maxLength: 9 }), busy => {
        const candidates = servers(...busy.map((_, i) => 1 / (i + 1)));
        const scaled = busy.map((inFlight, i) => inFlight * (i + 1));
        const most = Math.max(...scaled);
        fc.pre(scaled.filter(each => each === most).length === 1);
        const balancer = balancers.leastBusy();
        const load = loadOf(busy.map(inFlight => ({ inFlight, latency: 0 })));
        for (let n = 0; n < 50; n += 1) expect(balancer(candidates, load).uuid).not.toBe(`s${scaled.indexOf(most)}`);
      }),
    );
  });

  it('comes to shares by weight when statements take their time', () => {
    const candidates = servers(1, 0.5);
    const balancer = balancers.leastBusy();
    const inFlight = [0, 0];
    const load: Load = { inFlight: ({ uuid }) => inFlight[Number(uuid.slice(1))] ?? 0, latency: () => 0 };
    const running: number[] = [];
    const served = [0, 0];
    for (let n = 0; n < 3_000; n += 1) {
      const at = Number(balancer(candidates, load).uuid.slice(1));
      inFlight[at] = (inFlight[at] ?? 0) + 1;
      served[at] = (served[at] ?? 0) + 1;
      running.push(at);
      if (running.length > 60) {
        const place = running.indexOf(n % 3 === 0 ? 1 : 0); // each server ends statements at the speed of its weight
        for (const ended of place < 0 ? [] : running.splice(place, 1)) inFlight[ended] = (inFlight[ended] ?? 0) - 1;
      }
    }
    expect(served[0]).toBeGreaterThan((served[1] ?? 0) * 1.6);
    expect(served[0]).toBeLessThan((served[1] ?? 0) * 2.4);
  });
});

describe('leastBusy at rest', () => {
  it('draws each server about as often, whoever the other is', () => {
    const candidates = servers(1, 1, 1, 1);
    for (const count of counts(candidates, picks(balancers.leastBusy(), candidates, PICKS)))
      expect(Math.abs(count / PICKS - 1 / 4)).toBeLessThan(CHANCE);
  });

  it('draws two different servers: the one in use is never picked beside an idle one', () => {
    const load = loadOf([
      { inFlight: 1, latency: 0 },
      { inFlight: 0, latency: 0 },
    ]);
    const balancer = balancers.leastBusy();
    const candidates = servers(1, 1);
    for (let n = 0; n < 200; n += 1) expect(balancer(candidates, load).uuid).toBe('s1');
  });
});

describe('random', () => {
  it('has no order: each server follows each about as often', () => {
    const candidates = servers(1, 1, 1);
    const picked = picks(balancers.random(), candidates, PICKS);
    const pairs = new Map<string, number>();
    for (const [n, uuid] of picked.entries()) {
      const pair = `${picked[n - 1]} ${uuid}`;
      if (n > 0) pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    expect(pairs.size).toBe(9);
    for (const count of pairs.values()) expect(Math.abs(count / PICKS - 1 / 9)).toBeLessThan(CHANCE);
  });

  it('is another for each balancer: many processes do not go in step', () => {
    const candidates = servers(1, 1, 1);
    const sequences = Array.from({ length: 5 }, () => picks(balancers.random(), candidates, 60).join());
    expect(new Set(sequences).size).toBe(5);
  });
});

describe('leastLatency', () => {
  const load = loadOf([
    { inFlight: 0, latency: 2 },
    { inFlight: 0, latency: 8 },
    { inFlight: 0, latency: 4 },
  ]);

  it('picks the quickest', () => {
    expect(new Set(picks((given, _none) => balancers.leastLatency()(given, load), servers(1, 1, 1), 20))).toEqual(
      new Set(['s0']),
    );
  });

  it('until it is so busy that another answers sooner', () => {
    const crowded: Load = { ...load, inFlight: ({ uuid }) => (uuid === 's0' ? 2 : 0) };
    expect(balancers.leastLatency()(servers(1, 1, 1), crowded).uuid).toBe('s2');
  });

  it('what is in flight counts, also where nothing is known', () => {
    const candidates = servers(1, 1, 1);
    const busy = loadOf([
      { inFlight: 1, latency: 0 },
      { inFlight: 0, latency: 0 },
      { inFlight: 2, latency: 0 },
    ]);
    const balancer = balancers.leastLatency();
    for (let n = 0; n < 6; n += 1) expect(balancer(candidates, busy).uuid).toBe('s1');
  });

  it('takes turns among equals', () => {
    expect(picks(balancers.leastLatency(), servers(1, 1, 1), 6)).toEqual(['s0', 's1', 's2', 's0', 's1', 's2']);
  });

  it('asks one of which nothing is known', () => {
    const unknown: Load = { ...load, latency: each => (each.uuid === 's1' ? 0 : load.latency(each)) };
    expect(balancers.leastLatency()(servers(1, 1, 1), unknown).uuid).toBe('s1');
  });
});

describe("an application's own function", () => {
  it.each([undefined, null, 's0', { uuid: 's0' }])('that returns %j is an error that names the option', answer => {
    const balancer = ownBalancer(() => answer as never);
    expect(() => balancer(servers(1, 1), AT_REST)).toThrow(expect.objectContaining({ option: 'balancer' }));
  });

  it.each([undefined, 'no', new RangeError('no')])('that throws %s throws an Error', thrown => {
    const balancer = ownBalancer(() => {
      throw thrown;
    });
    const error = thrown instanceof Error ? thrown : new Error(`The balancer threw what is no Error: ${thrown}`);
    expect(() => balancer(servers(1, 1), AT_REST)).toThrow(error);
  });
});
