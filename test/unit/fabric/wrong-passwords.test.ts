import { beforeEach, describe, expect, it } from 'vitest';
import { createWrongPasswords, type WrongPasswords } from '../../../src/fabric/endpoints/wrong-passwords.js';

let now: number;
let passwords: WrongPasswords;
beforeEach(() => {
  now = 1_000;
  passwords = createWrongPasswords(() => now);
});

const HERE = '10.0.0.1';
const wrong = (user = 'app', address: string | undefined = HERE) => passwords.judge(user, address, false);
const right = (user = 'app', address: string | undefined = HERE) => passwords.judge(user, address, true);
/** A client that waits for each answer. */
const patient = (times: number) =>
  Array.from({ length: times }, () => {
    const delay = wrong();
    now += Number(delay);
    return delay;
  });

describe('a wrong password', () => {
  it('costs time, and more each time, up to a bound', () => {
    expect(patient(7)).toEqual([250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it('is forgotten by a right one, and after a quarter of an hour', () => {
    patient(3);
    expect(right()).toBe('in');
    expect(patient(2)).toEqual([250, 500]);
    now += 900_001;
    expect(wrong()).toBe(250);
  });

  it('costs other users and other addresses nothing', () => {
    patient(5);
    expect([wrong('other'), wrong('app', '10.0.0.2'), right('other'), right('app', '10.0.0.2')]).toEqual([
      250,
      250,
      'in',
      'in',
    ]);
    expect(wrong()).toBe(4_000);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::7', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['::1', '::2', true],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
  ])('counts a network of IPv6 as one: %s and %s %j', (one, other, same) => {
    expect(wrong('app', one)).toBe(250);
    expect(wrong('app', other)).toBe(same ? 500 : 250);
  });
});

describe('many at once', () => {
  it('get no answer that tells whether one of them is right', () => {
    const delays = Array.from({ length: 16 }, () => wrong());
    expect(delays.every(Number)).toBe(true);
    expect([wrong(), right()]).toEqual(['crowded', 'crowded']);
    expect([right('other'), right('app', '10.0.0.2')]).toEqual(['in', 'in']);
    now += 250;
    expect(right()).toBe('in');
  });

  it('make no more than so many guesses in a minute, however they come', () => {
    let guesses = 0;
    for (const end = now + 60_000; now < end; now += 10) {
      for (let client = 0; client < 50; client += 1) if (wrong() !== 'crowded') guesses += 1;
    }
    expect(guesses).toBeLessThanOrEqual(16 * 16);
  });

  it('of many names are remembered in bounded memory', () => {
    for (let n = 0; n < 10_001; n += 1) wrong(`${n}`);
    expect([wrong('0'), wrong('10000')]).toEqual([250, 500]);
  });
});

describe('who is held', () => {
  const never = new Promise<void>(() => {});
  const stateOf = async (holding: Promise<void>) => {
    let state = 'held';
    void holding.then(() => {
      state = 'free';
    });
    await new Promise(resolve => setImmediate(resolve));
    return state;
  };

  it('is free when the time is over, when it goes, and when the node stops', async () => {
    await passwords.hold(1, never);
    await passwords.hold(60_000, Promise.resolve());
    const holding = [passwords.hold(60_000, never), passwords.hold(60_000, never)];
    expect(await Promise.all(holding.map(stateOf))).toEqual(['held', 'held']);
    passwords.stop();
    await Promise.all(holding);
  });

  it('is free early when too many wait: the one that has waited longest', async () => {
    const holding = Array.from({ length: 257 }, () => passwords.hold(60_000, never));
    const states = await Promise.all(holding.map(stateOf));
    expect([states[0], new Set(states.slice(1))]).toEqual(['free', new Set(['held'])]);
    passwords.stop();
  });
});
