import { describe, expect, it } from 'vitest';
import { createFailoverWait } from '../../../src/fabric/failover-wait.js';

describe('the wait of a failover', () => {
  it('is twice as long after each failed attempt, at most 30 s', () => {
    const wait = createFailoverWait();
    const delays = Array.from({ length: 8 }, () => wait.failed('a', 'no candidate'));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(wait).toMatchObject({ attempts: 8, reason: 'no candidate' });
    expect(wait.due('a')).toBe(false);
    expect(wait.left).toBeGreaterThan(20_000);
  });

  it("is one primary's: the next one's failure is not held up, and begins anew", () => {
    const wait = createFailoverWait();
    wait.failed('a', 'no candidate');
    wait.failed('a', 'no candidate');
    expect(wait.due('b')).toBe(true);
    expect(wait.failed('b', 'no candidate')).toBe(1_000);
    expect(wait.due('a')).toBe(true);
  });

  it('for the failover interval is told once', () => {
    const wait = createFailoverWait();
    expect(wait.until('a', 5_000, 'too soon')).toBe(true);
    expect(wait.until('a', 4_000, 'too soon')).toBe(false);
    expect(wait.until('b', 4_000, 'too soon')).toBe(true);
    expect(wait.due('b')).toBe(false);
  });

  it('ends', () => {
    const wait = createFailoverWait();
    wait.failed('a', 'no candidate');
    wait.clear();
    expect(wait).toMatchObject({ left: 0, reason: '', attempts: 0 });
    expect(wait.due('a')).toBe(true);
    expect(wait.failed('a', 'no candidate')).toBe(1_000);
  });
});
