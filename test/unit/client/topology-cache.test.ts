import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTopologyCache, type TopologyCache } from '../../../src/client/topology-cache.js';
import type { Topology } from '../../../src/wire/topology.js';
import { aServer } from '../../fakes/scripted-node.js';

/** The node's side: what it is asked, and when it answers. */
let asked: string[];
let answer: (group: string) => Promise<Topology>;
let changes: Topology[];

const topologyOf = (port: number, ttl = 1): Topology => ({
  group: 'g',
  servers: [aServer(port)],
  fabricUuid: 'f',
  ttl,
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
  vi.advanceTimersByTime(1_000); // lru-cache takes a start at 0 for none
  asked = [];
  changes = [];
  answer = async () => topologyOf(1);
});
afterEach(() => vi.useRealTimers());

function create(ttl: number | null = null): TopologyCache {
  const fetch = (group: string): Promise<Topology> => {
    asked.push(group);
    return answer(group);
  };
  return createTopologyCache({ fetch, ttl, onChange: topology => changes.push(topology) });
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const down = async (): Promise<Topology> => {
  throw new Error('node down');
};
/** lru-cache looks at its clock at most once per ms. */
const settle = () => pass(2);

describe('get', () => {
  it('asks once for all who wait', async () => {
    const cache = create();
    expect(cache.peek('g')).toBeUndefined();
    const all = await Promise.all(Array.from({ length: 50 }, () => cache.get('g')));
    expect(new Set(all).size).toBe(1);
    expect(asked).toEqual(['g']);
  });

  it('keeps the groups apart', async () => {
    answer = async group => ({ ...topologyOf(1), group });
    const cache = create();
    expect((await cache.get('g')).group).toBe('g');
    expect((await cache.get('h')).group).toBe('h');
    expect(asked).toEqual(['g', 'h']);
  });

  it('gives the real error when nothing is known, and asks again the next time', async () => {
    answer = down;
    const cache = create();
    await expect(cache.get('g')).rejects.toThrow('node down');
    await expect(cache.get('g')).rejects.toThrow('node down');
    answer = async () => topologyOf(1);
    expect((await cache.get('g')).servers).toHaveLength(1);
  });
});

describe('the TTL', () => {
  it.each([
    ['of the reply', null, 5, 5_000],
    ['of the options, which wins', 2_000, 60, 2_000],
  ])('is that %s', async (_name, option, reply, ms) => {
    answer = async () => topologyOf(1, reply);
    const cache = create(option);
    await cache.get('g');
    await pass(ms - 100);
    cache.peek('g');
    expect(asked).toHaveLength(1);
    await pass(200);
    cache.peek('g');
    expect(asked).toHaveLength(2);
  });

  it('past it, the old topology is served at once while the new one is fetched, once', async () => {
    const cache = create();
    const old = await cache.get('g');
    await pass(1_100);
    let release: (topology: Topology) => void = () => {};
    answer = () =>
      new Promise(resolve => {
        release = resolve;
      });
    for (let n = 0; n < 20; n += 1) expect(cache.peek('g')).toBe(old);
    expect(asked).toHaveLength(2);
    release(topologyOf(2));
    await settle();
    expect(cache.peek('g')?.servers).toMatchObject([{ port: 2 }]);
  });

  it('of 0 still serves, and asks each time', async () => {
    answer = async () => topologyOf(1, 0);
    const cache = create();
    expect((await cache.get('g')).servers).toHaveLength(1);
    await pass(10);
    expect(cache.peek('g')).toBeDefined();
  });
});

describe('get, when something is known', () => {
  it('asks nobody while it is fresh, and waits for the new one when it is not', async () => {
    const cache = create();
    await cache.get('g');
    await pass(900);
    await cache.get('g');
    expect(asked).toHaveLength(1);
    answer = async () => topologyOf(2);
    await pass(200);
    expect((await cache.get('g')).servers).toMatchObject([{ port: 2 }]);
    expect(asked).toHaveLength(2);
  });
});

describe('forget', () => {
  it('of a group that nobody asked for yet doubts nothing', async () => {
    const cache = create(60_000);
    cache.forget('g');
    await cache.get('g');
    await cache.get('g');
    expect(cache.peek('g')).toBeDefined();
    expect(asked).toHaveLength(1);
  });

  it('makes the next one ask, though the TTL has not passed', async () => {
    const cache = create(60_000);
    await cache.get('g');
    answer = async () => topologyOf(2);
    cache.forget('g');
    expect(cache.peek('g')).toBeUndefined();
    expect((await cache.get('g')).servers).toMatchObject([{ port: 2 }]);
    expect(cache.peek('g')?.servers).toMatchObject([{ port: 2 }]);
    expect(asked).toHaveLength(2);
  });

  it('leaves other groups alone', async () => {
    const cache = create(60_000);
    await cache.get('g');
    await cache.get('h');
    cache.forget('g');
    expect(cache.peek('h')).toBeDefined();
  });
});

describe('while no node answers', () => {
  it('the old topology is served, and a node is asked about once a second, not for every statement', async () => {
    const cache = create();
    const old = await cache.get('g');
    answer = down;
    await pass(1_100);
    for (let n = 0; n < 500; n += 1) {
      expect(cache.peek('g')).toBe(old);
      expect(await cache.get('g')).toBe(old);
      await pass(10);
    }
    expect(asked.length).toBeGreaterThan(4);
    expect(asked.length).toBeLessThan(10);
  });

  it('whoever peeks asks no more often', async () => {
    const cache = create();
    await cache.get('g');
    answer = down;
    await pass(1_100);
    for (let n = 0; n < 100; n += 1) {
      cache.peek('g');
      await pass(50);
    }
    expect(asked.length).toBeGreaterThan(4);
    expect(asked.length).toBeLessThan(8);
  });

  it('a topology in doubt is served all the same', async () => {
    const cache = create(60_000);
    const old = await cache.get('g');
    answer = down;
    cache.forget('g');
    expect(await cache.get('g')).toBe(old);
    expect(cache.peek('g')).toBe(old);
  });

  it('a node that hangs delays nobody for long who could be served with what is known', async () => {
    const cache = create(60_000);
    const old = await cache.get('g');
    answer = () => new Promise((_, reject) => setTimeout(() => reject(new Error('timeout')), 4_000));
    cache.forget('g');
    let served: Topology | undefined;
    void cache.get('g').then(topology => {
      served = topology;
    });
    await pass(600);
    expect(served).toBe(old);
    // nor is each further doubt a further delay, while the same call hangs
    cache.forget('g');
    let again: Topology | undefined;
    void cache.get('g').then(topology => {
      again = topology;
    });
    await pass(50);
    expect(again).toBe(old);
    await pass(5_000);
    expect(cache.peek('g')).toBe(old);
  });

  it('the first answer afterwards is taken', async () => {
    const cache = create();
    await cache.get('g');
    answer = down;
    await pass(1_100);
    cache.peek('g');
    await settle();
    answer = async () => topologyOf(2);
    await pass(1_100);
    cache.peek('g');
    await settle();
    expect(cache.peek('g')?.servers).toMatchObject([{ port: 2 }]);
  });
});

describe('changes', () => {
  it('are told once each; a fetch that says the same gives the same value', async () => {
    const cache = create();
    const first = await cache.get('g');
    expect(await cache.refresh('g')).toBe(first);
    expect(changes).toEqual([first]);
    answer = async () => topologyOf(2);
    const second = await cache.refresh('g');
    expect(changes).toEqual([first, second]);
  });

  it.each([
    ['the TTL', { ttl: 2 }],
    ['a server that came', { servers: [aServer(1), aServer(2)] }],
    ['a server that came before the others', { servers: [aServer(2), aServer(1)] }],
    ['all that went', { servers: [] }],
  ])('of %s', async (_name, change) => {
    const cache = create();
    await cache.get('g');
    answer = async () => ({ ...topologyOf(1), ...change });
    await cache.refresh('g');
    expect(changes).toHaveLength(2);
  });

  it('of the second of two servers, and of one that went', async () => {
    answer = async () => ({ ...topologyOf(1), servers: [aServer(1), aServer(2)] });
    const cache = create();
    await cache.get('g');
    answer = async () => ({ ...topologyOf(1), servers: [aServer(1), aServer(3)] });
    await cache.refresh('g');
    answer = async () => topologyOf(1);
    await cache.refresh('g');
    expect(changes).toHaveLength(3);
  });

  it.each(['uuid', 'host', 'port', 'mode', 'status', 'weight'] as const)('of a server: %s', async field => {
    const cache = create();
    await cache.get('g');
    const other = { ...aServer(1), [field]: field === 'uuid' || field === 'host' ? 'other' : 2 };
    answer = async () => ({ ...topologyOf(1), servers: [other] });
    await cache.refresh('g');
    expect(changes).toHaveLength(2);
  });
});
