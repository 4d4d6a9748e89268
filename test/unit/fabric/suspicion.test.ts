import { describe, expect, test } from 'vitest';
import { judge, reportsCondemn, type Testimony } from '../../../src/fabric/suspicion.js';

describe('reportsCondemn', () => {
  const thresholds = { notifications: 300, notificationClients: 50 };

  test.each([
    [299, 50, false],
    [300, 49, false],
    [300, 50, true],
    [0, 0, false],
  ])('%i reports of %i clients: %s', (reports, reporters, condemned) => {
    expect(reportsCondemn({ reports, reporters }, thresholds)).toBe(condemned);
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
