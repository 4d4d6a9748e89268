import { describe, expect, test } from 'vitest';
import { judge, reportsCondemn, type Testimony } from '../../../src/fabric/suspicion.js';

describe('reportsCondemn', () => {
  const thresholds = { notifications: 300, notificationClients: 50, notificationInterval: 60 };
  const reports = (count: number, reporters: number, at = 1_000_000) =>
    Array.from({ length: count }, (_, index) => ({ reporter: `client ${index % reporters}`, at }));

  test.each([
    ['299 reports of 50 clients', reports(299, 50), false],
    ['300 reports of 49 clients', reports(300, 49), false],
    ['300 reports of 50 clients', reports(300, 50), true],
    ['150 and, 61 s later, 150', [...reports(150, 50), ...reports(150, 50, 1_061_000)], false],
    ['150 and, 60 s later, 150', [...reports(150, 50), ...reports(150, 50, 1_060_000)], true],
    ['none', [], false],
  ])('%s: %s', (_name, given, condemned) => {
    const now = Math.max(0, ...given.map(({ at }) => at));
    expect(reportsCondemn(given, thresholds, now)).toBe(condemned);
  });
});

describe('judge', () => {
  const rows: [boolean, boolean, Testimony[], number, string][] = [
    // answered, is the primary, witnesses, failures in a row (of 3), state
    [true, true, [], 0, 'healthy'],
    [true, false, [], 2, 'healthy'],
    [true, true, ['deaf', 'deaf'], 0, 'healthy'],
    [false, true, ['hears'], 1, 'watch'],
    [false, true, ['hears', 'deaf'], 99, 'watch'],
    [false, true, ['hears', 'silent'], 99, 'watch'],
    [false, true, ['deaf'], 1, 'dead'],
    [false, true, ['deaf', 'silent'], 1, 'dead'],
    [false, true, ['silent', 'silent'], 1, 'watch'],
    [false, true, ['silent', 'silent'], 3, 'dead'],
    [false, true, [], 2, 'watch'],
    [false, true, [], 3, 'dead'],
    [false, false, [], 2, 'watch'],
    [false, false, [], 3, 'dead'],
  ];

  test.each(rows)(
    'answered %s, primary %s, witnesses %j, failure %i: %s',
    (answered, isPrimary, witnesses, failures, state) => {
      const verdict = judge({ answered, isPrimary, witnesses, failures, detections: 3 });
      expect(verdict.state).toBe(state);
      expect(verdict.reason).not.toBe('');
    },
  );
});
