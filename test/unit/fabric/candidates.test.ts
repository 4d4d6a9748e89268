import { describe, expect, test } from 'vitest';
import {
  beyond,
  byPreference,
  errantSince,
  holds,
  lackedBy,
  lostByPrimary,
  ownLost,
  within,
} from '../../../src/fabric/procedures/candidates.js';

const A = 'aaaaaaaa-0000-0000-0000-000000000001';
const B = 'bbbbbbbb-0000-0000-0000-000000000002';
const C = 'cccccccc-0000-0000-0000-000000000003';

const applicant = (uuid: string, executed: string, weight = 1) => ({ uuid, executed, weight });
const order = (...applicants: ReturnType<typeof applicant>[]) => byPreference(applicants).map(({ uuid }) => uuid);

describe('byPreference', () => {
  test('the most advanced first, whatever its weight', () => {
    expect(order(applicant(B, `${A}:1-9`), applicant(C, `${A}:1-10`, 0.1))).toEqual([C, B]);
  });
  test('among equals the heavier, then by uuid', () => {
    expect(order(applicant(C, `${A}:1-9`), applicant(B, `${A}:1-9`, 0.5))).toEqual([C, B]);
    expect(order(applicant(C, `${A}:1-9`), applicant(B, `${A}:1-9`))).toEqual([B, C]);
    expect(order(applicant(C, ''), applicant(B, ''), applicant(A, ''))).toEqual([A, B, C]);
  });
  test('nobody, no order', () => expect(order()).toEqual([]));
});

describe('errantSince', () => {
  test('what the primary wrote, and what was there when it was promoted, is not errant', () => {
    expect(errantSince(`${A}:1-100,${B}:1-5`, A, `${B}:1-5`)).toBe('');
  });
  test('everything else is', () => {
    expect(errantSince(`${A}:1-100,${B}:1-6,${C}:1`, A, `${B}:1-5`)).toBe(`${B}:6,${C}:1`);
  });
  test('without a baseline nothing can be said', () => expect(errantSince(`${C}:1`, A, null)).toBe(''));
});

test('ownLost is what a server wrote and has no more', () => {
  expect(ownLost(A, '', `${A}:1-3,${B}:1`)).toBe(`${A}:1-3`);
  expect(ownLost(A.toUpperCase(), `${A}:1`, `${A}:1-3:x:4,${B}:1`)).toBe(`${A}:2-3:x:4`);
  expect(ownLost(A, `${A}:1-4`, `${A}:1-3,${B}:1`)).toBe('');
  expect(ownLost(B, `${A}:1-3`, `${A}:1-4`)).toBe('');
});

test('lostByPrimary is what was there at its promotion, and what it has sent, and is gone', () => {
  expect(lostByPrimary(A, `${A}:1-3,${B}:1`, `${B}:1`, [`${A}:1-3,${C}:1`, ','])).toBe('');
  expect(lostByPrimary(A, `${A}:1-3`, `${A}:1,${B}:1`, [`${A}:1-4`, `${A}:1-5,${C}:1`])).toBe(`${A}:4-5,${B}:1`);
  expect(lostByPrimary(A, '', null, [])).toBe('');
  expect(lostByPrimary(A, '', null, [`${A}:1,${B}:1`])).toBe(`${A}:1`);
});

test('beyond lists what the reference lacks', () => {
  expect(beyond(`${A}:1-10,${B}:3`, `${A}:1-8`)).toBe(`${A}:9-10,${B}:3`);
  expect(beyond('', `${A}:1`)).toBe('');
});

test('holds compares sets, not texts', () => {
  expect(holds(`${B}:1-2,${A}:1-10`, `${A}:3-4`)).toBe(true);
  expect(holds(`${A}:1-2`, `${A}:3`)).toBe(false);
});

test('lackedBy names the servers that have more', () => {
  const chosen = applicant(A, `${A}:1-5`);
  expect(lackedBy(chosen, [chosen, applicant(B, `${A}:1-7`), applicant(C, `${A}:1-4`)])).toEqual([
    { uuid: B, gtids: `${A}:6-7` },
  ]);
});

test('within keeps what both have', () => {
  expect(within(`${A}:1-9,${B}:1`, `${A}:3-20`)).toBe(`${A}:3-9`);
  expect(within('', `${A}:1`)).toBe('');
});
