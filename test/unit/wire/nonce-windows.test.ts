import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NonceWindows, WINDOW } from '../../../src/wire/nonce-windows.js';

const lease = (nonce: string, issued = 0) => ({ nonce, issued, expires: issued + 100 });

describe('a nonce', () => {
  test.each<[string, number[], boolean[]]>([
    ['in order', [1, 2, 3], [true, true, true]],
    ['twice', [1, 1], [true, false]],
    ['a little out of order', [2, 1, 4, 3, 3, 1], [true, true, true, true, false, false]],
    ['the oldest that the window shows', [WINDOW, 1, 1], [true, true, false]],
    ['older than the window', [WINDOW + 1, 1, 2], [true, false, true]],
    ['a jump of one window', [1, WINDOW + 1, 2, 1], [true, true, true, false]],
    ['a long jump', [1, 0xffff_ffff, 1, 0xffff_ffff], [true, true, false, false]],
  ])('%s', (_, counts, outcomes) => {
    const windows = new NonceWindows(10);
    expect(counts.map(count => windows.use(lease('a'), count, 0))).toEqual(outcomes);
  });

  test('each count is good once, and always within the window', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 })), counts => {
        const windows = new NonceWindows(10);
        const used = new Set<number>();
        for (const count of counts) {
          const highest = Math.max(...used);
          const expected = !used.has(count) && count > highest - WINDOW;
          expect(windows.use(lease('a'), count, 0)).toBe(expected);
          used.add(expected ? count : highest);
        }
      }),
    );
  });
});

describe('memory', () => {
  test('expired nonces are purged, and stay used up if the clock is set back', () => {
    const windows = new NonceWindows(10);
    for (const nonce of ['a', 'b', 'c']) windows.use(lease(nonce), 1, 0);
    expect(windows.size).toBe(3);
    expect(windows.use(lease('d', 100), 1, 100)).toBe(true);
    expect(windows.size).toBe(1);
    expect(windows.use(lease('a'), 1, 50)).toBe(false);
  });

  test('is bounded; a nonce that had to go, and those from before it, are used up', () => {
    const windows = new NonceWindows(2);
    for (const [i, nonce] of ['a', 'b', 'c'].entries()) expect(windows.use(lease(nonce, i), 1, 5)).toBe(true);
    expect(windows.size).toBe(2);
    expect(windows.use(lease('a', 0), 2, 5)).toBe(false);
    expect(windows.use(lease('z', 0), 1, 5)).toBe(false);
    expect(windows.use(lease('b', 1), 2, 5)).toBe(true);
  });
});
