import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  answer,
  type Challenge,
  type Credentials,
  DigestGuard,
  ha1,
  parseChallenge,
  REALM,
} from '../../../src/wire/digest.js';

const USER = 'admin';
const PASSWORD = 'p,w="é"';
const md5 = (text: string) => createHash('md5').update(text).digest('hex');

function setUp(options: Partial<ConstructorParameters<typeof DigestGuard>[0]> = {}) {
  const clock = { time: 1_000_000 };
  const passwordHash = (user: string) => (user === USER ? ha1(USER, PASSWORD) : undefined);
  const guard = new DigestGuard({ now: () => clock.time, passwordHash, ...options });
  const challenge = challengeOf(guard);
  const log = (changes: Partial<Credentials> = {}) =>
    answer(challenge, { user: USER, password: PASSWORD, nc: 1, ...changes });
  const verify = (header: string | undefined) => guard.verify(header, 'POST', '/RPC2');
  return { guard, clock, challenge, log, verify };
}

function challengeOf(guard: DigestGuard): Challenge {
  const challenge = parseChallenge(guard.challenge());
  if (!challenge) throw new Error('The challenge of the guard is none');
  return challenge;
}

const GRANTED = { outcome: 'granted', user: USER };
const CHALLENGE = { outcome: 'challenge', stale: false };
const STALE = { outcome: 'challenge', stale: true };
const REFUSED = { outcome: 'refused', reason: expect.any(String) };
const WRONG = { ...REFUSED, user: expect.any(String) };

describe('parseChallenge', () => {
  test.each<[string, Partial<Challenge> | null]>([
    ['Digest realm="a, b=c", nonce="n=", qop="auth"', { realm: 'a, b=c', nonce: 'n=', opaque: '', algorithm: 'MD5' }],
    ['digest REALM=a,nonce=n , qop=auth,stale=TRUE', { realm: 'a', nonce: 'n', stale: true }],
    ['Digest realm="a \\"b\\" \\\\", nonce="n", qop="auth-int, auth"', { realm: 'a "b" \\', qop: 'auth-int, auth' }],
    ['Basic realm="a", Digest realm="b", nonce="n", qop="auth"', { realm: 'b' }],
    ['Digest realm="b", nonce="n", qop="auth", Basic realm="a"', { realm: 'b', nonce: 'n' }],
    [
      'Digest realm="a", nonce="x", algorithm=SHA-256, qop="auth", Digest realm="b", nonce="n", qop="auth"',
      { realm: 'b' },
    ],
    ['Basic realm="a"', null],
    ['Digest realm="a", qop="auth"', null],
    ['Digest realm="a", nonce="n"', null],
    ['Digest realm="a", nonce="n", qop="auth-int"', null],
    ['Digest realm="a", nonce="n", qop="auth", algorithm=SHA-256', null],
    ['Digest realm="a", nonce="n", nonce="m", qop="auth"', null],
    ['Digest', null],
    ['', null],
  ])('%s', (header, expected) => {
    const challenge = parseChallenge(header);
    if (expected) expect(challenge).toMatchObject(expected);
    else expect(challenge).toBeNull();
  });

  test('takes any text', () => {
    fc.assert(fc.property(fc.string(), text => void parseChallenge(`Digest ${text}`)));
  });
});

describe('answer', () => {
  test('escapes what the user is called', () => {
    const { log } = setUp();
    expect(log({ user: 'a"b\\' })).toContain('username="a\\"b\\\\"');
  });

  test('has a cnonce of its own each time', () => {
    const { log } = setUp();
    expect(log()).not.toBe(log());
  });

  test.each([0, -1, 1.5, 2 ** 32, Number.NaN])('refuses nc %d', nc => {
    expect(() => setUp().log({ nc })).toThrow(RangeError);
  });
});

describe('the challenge of a guard', () => {
  test('can be taken apart at each comma and equals sign', () => {
    const parts = setUp()
      .guard.challenge({ stale: true })
      .replace(/^Digest /, '')
      .split(',');
    expect(parts.map(part => part.trim().split('='))).toEqual([
      ['realm', `"${REALM}"`],
      ['nonce', expect.stringMatching(/^"[\w-]{48}"$/)],
      ['algorithm', '"MD5"'],
      ['opaque', expect.stringMatching(/^"[\da-f]{32}"$/)],
      ['qop', '"auth"'],
      ['stale', 'true'],
    ]);
  });

  test.each(['a,b', 'a=b', 'a"b', 'a\\', '', 'a\nb', 'é'])('a realm that clients cannot read is refused: %j', realm => {
    expect(() => setUp({ realm })).toThrow(RangeError);
  });
});

describe('a guard', () => {
  test('grants a right answer once, and each further count of the same nonce', () => {
    const { log, verify } = setUp();
    const first = log();
    expect(verify(first)).toEqual(GRANTED);
    expect(verify(first)).toEqual(STALE);
    expect(verify(log({ nc: 3 }))).toEqual(GRANTED);
    expect(verify(log({ nc: 2 }))).toEqual(GRANTED);
    expect(verify(log({ nc: 2 }))).toEqual(STALE);
    expect(verify(log({ nc: 3 + 64 }))).toEqual(GRANTED);
    expect(verify(log({ nc: 3 }))).toEqual(STALE);
  });

  test('challenges whoever has not tried digest yet', () => {
    const { verify } = setUp();
    for (const header of [undefined, '', `Basic ${btoa('admin:adminpass')}`, 'Digestive x'])
      expect(verify(header)).toEqual(CHALLENGE);
  });

  test('refuses a wrong password and an unknown user alike', () => {
    const { log, verify } = setUp();
    const wrong = verify(log({ password: 'wrong' }));
    expect(wrong).toEqual(WRONG);
    expect(verify(log({ user: 'nobody' }))).toEqual({ ...wrong, user: 'nobody' });
    expect(verify(log())).toEqual(GRANTED);
  });

  test('challenges an answer to a nonce that is not its own', () => {
    const { verify } = setUp();
    expect(verify(setUp().log())).toEqual(CHALLENGE);
    for (const nonce of ['a', 'abcd', '=', '-'.repeat(48), `${'-'.repeat(48)}ab`]) {
      expect(verify(answer({ ...setUp().challenge, nonce }, { user: USER, password: PASSWORD, nc: 1 }))).toEqual(
        CHALLENGE,
      );
    }
    const invented = { ...setUp().challenge, nonce: 'MjAyNi0xMS0yMVQxOTo1Mjo1My45NDAxNzY7' };
    expect(verify(answer(invented, { user: USER, password: PASSWORD, nc: 1 }))).toEqual(CHALLENGE);
  });

  test('guards with one secret know each other’s nonces', () => {
    const one = setUp({ secret: 'shared' });
    expect(setUp({ secret: 'shared' }).verify(one.log())).toEqual(GRANTED);
  });

  test('lets a nonce go when its time is over', () => {
    const { clock, log, verify } = setUp({ lifetime: 1000 });
    clock.time += 999;
    expect(verify(log())).toEqual(GRANTED);
    clock.time += 1;
    expect(verify(log({ nc: 2 }))).toEqual(STALE);
    expect(verify(log({ nc: 2, password: 'wrong' }))).toEqual(WRONG);
  });

  test('a nonce that was never used ends just as well, and one from the future is none yet', () => {
    const old = setUp({ lifetime: 1000 });
    old.clock.time += 1000;
    expect(old.verify(old.log())).toEqual(STALE);
    const early = setUp();
    early.clock.time -= 1;
    expect(early.verify(early.log())).toEqual(STALE);
  });

  test('a clock that is set back brings no nonce to life', () => {
    const { guard, clock, log, verify } = setUp();
    const header = log();
    expect(verify(header)).toEqual(GRANTED);
    clock.time += 120_000;
    expect(verify(answer(challengeOf(guard), { user: USER, password: PASSWORD, nc: 1 }))).toEqual(GRANTED);
    clock.time -= 120_000;
    expect(verify(header)).toEqual(STALE);
    clock.time -= 1;
    expect(verify(log({ nc: 2 }))).toEqual(STALE);
  });

  test('failed attempts leave no entry behind', () => {
    const { log, verify } = setUp({ capacity: 1 });
    expect(verify(log())).toEqual(GRANTED);
    const other = setUp().log();
    for (let i = 0; i < 5; i += 1) {
      verify(other);
      verify(log({ nc: 9, password: 'wrong' }));
    }
    expect(verify(log({ nc: 2 }))).toEqual(GRANTED);
  });

  test.each<[string, Partial<Credentials>, string, object]>([
    ['over /, sent to /', { uri: '/' }, '/', GRANTED],
    ['over /RPC2, sent to /', {}, '/', GRANTED],
    ['over /, sent to /RPC2', { uri: '/' }, '/RPC2', GRANTED],
    ['over another uri', { uri: '/other' }, '/RPC2', WRONG],
    ['sent to another path', {}, '/other', REFUSED],
    ['over another method', { method: 'GET' }, '/RPC2', WRONG],
  ])('judges an answer %s', (_, changes, path, verdict) => {
    const { guard, log } = setUp();
    expect(guard.verify(log(changes), 'POST', path)).toEqual(verdict);
  });

  test('accepts a response over /RPC2 whatever the header calls the uri', () => {
    const { log, verify } = setUp();
    expect(verify(log().replace('uri="/RPC2"', 'uri="http://fabric:32274/RPC2"'))).toEqual(GRANTED);
    expect(verify(log({ nc: 2 }).replace('uri="/RPC2"', 'uri="/"'))).toEqual(GRANTED);
  });

  /** A header by hand, in the shape that Connector/J sends. */
  function connectorJ(guard: DigestGuard, nc: string, hash = ha1(USER, PASSWORD)): string {
    const fields = guard
      .challenge()
      .slice('Digest '.length)
      .split(',')
      .map(part => part.trim().split('='));
    const seen = new Map(fields.map(([name = '', value = '']): [string, string] => [name, value.replaceAll('"', '')]));
    const [realm, nonce, opaque] = [seen.get('realm'), seen.get('nonce'), seen.get('opaque')];
    const cnonce = createHash('sha1').update('anything').digest('hex');
    const response = md5(`${hash}:${nonce}:${nc}:${cnonce}:auth:${md5('POST:/RPC2')}`);
    return (
      `Digest username="${USER}", realm="${realm}", nonce="${nonce}", uri="/RPC2", response="${response}", ` +
      `qop=auth, nc=${nc}, cnonce="${cnonce}", opaque="${opaque}"`
    );
  }

  test('accepts the way of Connector/J', () => {
    const { guard, verify } = setUp();
    expect(verify(connectorJ(guard, '00000001'))).toEqual(GRANTED);
  });

  test.each([undefined, '', 'NULL'])('lets nobody in as a user whose stored password is %j', stored => {
    const { guard, verify } = setUp({ passwordHash: () => stored });
    for (const hash of ['', 'NULL', 'undefined', ha1(USER, '')]) {
      expect(verify(connectorJ(guard, '00000001', hash))).toEqual(WRONG);
    }
  });

  test.each(['00000000', '1', '0000000g', '000000001'])('refuses nc %s with the response that belongs to it', nc => {
    const { guard, verify } = setUp();
    expect(verify(connectorJ(guard, nc))).toEqual(REFUSED);
  });

  test.each<[string, (header: string) => string]>([
    ['nothing in it', () => 'Digest'],
    ['no fields', () => 'Digest garbage'],
    ['something behind the fields', header => `${header}, garbage`],
    ['no qop', header => header.replace(' qop=auth,', '')],
    ['qop=auth-int', header => header.replace('qop=auth', 'qop=auth-int')],
    ['another algorithm', header => header.replace('MD5', 'SHA-256')],
    ['a field twice', header => `${header}, nc=00000002`],
    ['another realm', header => header.replace(REALM, 'other')],
    ['another opaque', header => header.replace(/opaque="\w/, 'opaque="x')],
    ['nc 0', header => header.replace('nc=00000001', 'nc=00000000')],
    ['a short nc', header => header.replace('nc=00000001', 'nc=1')],
    ['a negative nc', header => header.replace('nc=00000001', 'nc=-0000001')],
    ['a short response', header => header.replace(/response="\w/, 'response="')],
    ['an open quote', header => header.slice(0, -1)],
    ['megabytes', header => `${header}, x="${'a'.repeat(1_000_000)}"`],
    ...['username', 'nonce', 'uri', 'response', 'nc', 'cnonce'].map((name): [string, (header: string) => string] => [
      `no ${name}`,
      header => header.replace(new RegExp(`(?<=[ ,])${name}=[^,]*(, |$)`), ''),
    ]),
  ])('refuses a header with %s', (_, change) => {
    const { log, verify } = setUp();
    const header = log();
    expect(change(header)).not.toBe(header);
    expect(verify(change(header))).toEqual(REFUSED);
    expect(verify(header)).toEqual(GRANTED);
  });

  test('refuses an answer of which any byte was changed', () => {
    const { log, verify } = setUp();
    const header = log();
    // The uri is left out: a response over /RPC2 is right whatever the header calls it.
    const fields = [...header.matchAll(/(?<!uri)(?<==)"?[^",]+"?/g)].filter(field => !field[0].includes('RPC2'));
    const places = fields.flatMap(field => Array.from(field[0], (_, i) => field.index + i));
    expect(places.length).toBeGreaterThan(150);
    for (const place of places) {
      for (const put of ['x', '0', '7', '"', ',', '+']) {
        const changed = header.slice(0, place) + put + header.slice(place + 1);
        if (changed !== header) expect(verify(changed).outcome, changed).not.toBe('granted');
      }
    }
    expect(verify(header)).toEqual(GRANTED);
  });

  test('takes any header', () => {
    const { verify } = setUp();
    fc.assert(fc.property(fc.string(), text => verify(`Digest ${text}`).outcome !== 'granted'));
  });

  test('never grants two requests with the same nonce and count', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), counts => {
        const { log, verify } = setUp();
        const granted = counts.filter(nc => verify(log({ nc })).outcome === 'granted');
        expect(new Set(granted).size).toBe(granted.length);
        expect(granted).toContain(Math.max(...counts));
      }),
      { numRuns: 30 },
    );
  });
});
