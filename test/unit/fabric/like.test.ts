import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likePattern } from '../../../src/fabric/commands/like.js';
import { cpuTime } from '../../cpu-time.js';

describe('likePattern', () => {
  it.each([
    ['', 'anything', true],
    ['g1', 'g1', true],
    ['g1', 'g10', true],
    ['g1', 'my-g1-x', true],
    ['g1', 'g2', false],
    ['G1', 'g1', true],
    ['g%2', 'g1-2', true],
    ['g%2', '2g', false],
    ['g_1', 'g-1', true],
    ['g_1', 'g1', false],
    ['my\\_group', 'my_group', true],
    ['my\\_group', 'my-group', false],
    ['a%a%b', 'aab', true],
    ['a%a%b', 'ab', false],
    ['%', '', true],
    ['_', '', false],
    ['a.c', 'abc', false],
    ['[x]', 'x', false],
    ['a\\', 'a', false],
  ])('%j and %j: %j', (pattern, name, expected) => {
    expect(likePattern(pattern)(name)).toBe(expected);
  });

  it('agrees with a regular expression', () => {
    const text = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 8 });
    fc.assert(
      fc.property(text('ab_%'), text('ab'), (pattern, name) => {
        const source = pattern.replaceAll('%', '.*').replaceAll('_', '.');
        expect(likePattern(pattern)(name)).toBe(new RegExp(source).test(name));
      }),
    );
  });

  it('is quick whatever the pattern', () => {
    const matches = likePattern('a%'.repeat(400));
    expect(cpuTime(() => expect(matches('a'.repeat(64))).toBe(false))).toBeLessThan(1_000);
    const long = [likePattern(`b${'%a'.repeat(500_000)}`), likePattern(`-${'%'.repeat(1_000_000)}b`)];
    const ask = () => {
      for (let n = 0; n < 10_000; n += 1) expect(long.some(each => each(`ab-a${n}`))).toBe(false);
    };
    expect(cpuTime(ask)).toBeLessThan(2_000);
  });
});
