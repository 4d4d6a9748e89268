import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  contains,
  count,
  EMPTY_GTID_SET,
  formatGtidSet,
  type GtidSet,
  isEmpty,
  parseGtidSet,
  subtract,
  union,
  withoutSource,
} from '../../../src/fabric/replication/gtid.js';
import { cpuTime } from '../../cpu-time.js';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';
const C = '5e11fa47-71ca-11e1-9e33-c80aa9429562';

const tidied = (text: string) => formatGtidSet(parseGtidSet(text));

describe('text form', () => {
  it.each([
    ['', ''],
    [' \n', ''],
    [`${A}:1`, `${A}:1`],
    [`${A}:1-3:5`, `${A}:1-3:5`],
    [`${A}:5:1-3:4`, `${A}:1-5`],
    [`${A}:1-10:3-4:8-12`, `${A}:1-12`],
    [A.toUpperCase().concat(':1-2'), `${A}:1-2`],
    [`${B}:1,\n${A}:1-2,\n${B}:2`, `${A}:1-2,${B}:1-2`],
    [` ${A} : 1 - 3 : 5 , ${B} : 7 `, `${A}:1-3:5,${B}:7`],
    [`${A}:1-3:tag:5:2:tag2:1,${A}:Tag:3`, `${A}:1-3:tag:2-3:5:tag2:1`],
    [`${A}:_b:1:a1:2`, `${A}:_b:1:a1:2`],
    [`${A}:1-9007199254740991`, `${A}:1-9007199254740991`],
  ])('%j is printed as %j', (text, expected) => {
    expect(tidied(text)).toBe(expected);
  });

  it.each([
    'nonsense',
    A,
    `${A}:`,
    `${A}:0`,
    `${A}:3-1`,
    `${A}:1-`,
    `${A}:-1`,
    `${A}:1 2`,
    `${A}:1:`,
    `${A}:tag`,
    `${A}:tag:tag2:1`,
    `${A}:1:tag`,
    `${A}:bad-tag:1`,
    `${A}:${'t'.repeat(33)}:1`,
    `${A}:1;${B}:1`,
    `${A.slice(1)}:1`,
    '0-41-51',
  ])('%j is refused', text => {
    expect(() => parseGtidSet(text)).toThrow(SyntaxError);
  });

  it('names what is wrong', () => {
    expect(() => parseGtidSet(`${A}:1-x`)).toThrow(`'1-x' in '${A}:1-x' is neither a number, nor a range, nor a tag`);
  });

  it('refuses numbers that cannot be held exactly', () => {
    expect(() => parseGtidSet(`${A}:9007199254740992`)).toThrow(RangeError);
    expect(() => parseGtidSet(`${A}:1-9223372036854775806`)).toThrow(RangeError);
  });
});

describe('algebra', () => {
  it('finds the errant transactions of a returning primary', () => {
    const returning = parseGtidSet(`${A}:1-105:tag:1-2,${B}:1-7`);
    const primary = parseGtidSet(`${A}:1-103:tag:1,${B}:1-20`);
    expect(formatGtidSet(subtract(returning, primary))).toBe(`${A}:104-105:tag:2`);
    expect(contains(primary, returning)).toBe(false);
  });

  it('leaves out a source with its tags', () => {
    expect(formatGtidSet(withoutSource(parseGtidSet(`${A}:1:tag:2,${B}:3`), A.toUpperCase()))).toBe(`${B}:3`);
  });

  it('counts', () => {
    expect(count(parseGtidSet(`${A}:1-10:tag:3,${B}:5-6`))).toBe(13);
    expect(count(EMPTY_GTID_SET)).toBe(0);
  });

  it('is quick on sets with many gaps', () => {
    const odd = Array.from({ length: 50_000 }, (_, i) => 2 * i + 1).join(':');
    const even = Array.from({ length: 50_000 }, (_, i) => 2 * i + 2).join(':');
    const took = cpuTime(() => {
      const [a, b] = [parseGtidSet(`${A}:${odd}`), parseGtidSet(`${A}:${even}`)];
      expect(count(subtract(a, b))).toBe(50_000);
      expect(formatGtidSet(union(a, b))).toBe(`${A}:1-100000`);
    });
    expect(took).toBeLessThan(2_000);
  });
});

/** The model: every transaction spelt out. */
type Model = ReadonlySet<string>;
const sources = [A, B, C, `${A}:tag`, `${A}:zag`, `${B}:tag`];
const runs = fc.array(
  fc.record({
    source: fc.constantFrom(...sources),
    first: fc.integer({ min: 1, max: 30 }),
    length: fc.integer({ min: 0, max: 6 }),
  }),
  { maxLength: 12 },
);
const pair = runs.map(list => ({
  set: parseGtidSet(list.map(run => `${run.source}:${run.first}-${run.first + run.length}`).join(',\n')),
  model: new Set(
    list.flatMap(run => Array.from({ length: run.length + 1 }, (_, i) => `${run.source}:${run.first + i}`)),
  ),
}));
const modelOf = (set: GtidSet): Model =>
  new Set(
    [...set].flatMap(([key, intervals]) =>
      intervals.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => `${key}:${first + i}`)),
    ),
  );

describe('against a model that spells every transaction out', () => {
  it('parses and counts', () => {
    fc.assert(
      fc.property(pair, ({ set, model }) => {
        expect(modelOf(set)).toEqual(model);
        expect(count(set)).toBe(model.size);
        expect(isEmpty(set)).toBe(model.size === 0);
      }),
    );
  });

  it('prints what it parses, in one form only', () => {
    fc.assert(
      fc.property(pair, ({ set, model }) => {
        const shuffled = parseGtidSet([...model].reverse().join(','));
        expect(parseGtidSet(formatGtidSet(set))).toEqual(set);
        expect(formatGtidSet(shuffled)).toBe(formatGtidSet(set));
      }),
    );
  });

  it('unites, subtracts and compares', () => {
    fc.assert(
      fc.property(pair, pair, (a, b) => {
        const before = [formatGtidSet(a.set), formatGtidSet(b.set)];
        expect(modelOf(union(a.set, b.set))).toEqual(new Set([...a.model, ...b.model]));
        expect(modelOf(subtract(a.set, b.set))).toEqual(new Set([...a.model].filter(gtid => !b.model.has(gtid))));
        expect(contains(a.set, b.set)).toBe([...b.model].every(gtid => a.model.has(gtid)));
        expect([formatGtidSet(a.set), formatGtidSet(b.set)]).toEqual(before);
      }),
    );
  });

  it('holds the laws', () => {
    fc.assert(
      fc.property(pair, pair, (a, b) => {
        expect(contains(union(a.set, b.set), b.set)).toBe(true);
        expect(formatGtidSet(union(subtract(a.set, b.set), b.set))).toBe(formatGtidSet(union(a.set, b.set)));
        expect(formatGtidSet(union(a.set, b.set))).toBe(formatGtidSet(union(b.set, a.set)));
        expect(isEmpty(subtract(a.set, a.set))).toBe(true);
      }),
    );
  });

  it('leaves a source out', () => {
    fc.assert(
      fc.property(pair, fc.constantFrom(A, B, C), ({ set, model }, uuid) => {
        expect(modelOf(withoutSource(set, uuid))).toEqual(new Set([...model].filter(gtid => !gtid.startsWith(uuid))));
      }),
    );
  });
});
