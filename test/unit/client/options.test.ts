import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type FabricPoolOptions, parseOptions } from '../../../src/client/options.js';
import { parseProperties } from '../../../src/client/properties.js';

const FABRIC = { host: 'node1', user: 'admin', password: 'fabric-secret' };
const OPTIONS: FabricPoolOptions = { fabric: FABRIC, user: 'app', password: 'mysql-secret' };

interface Complaint {
  readonly error: Error;
  readonly kind: 'TypeError' | 'RangeError' | 'other';
  readonly code: unknown;
  readonly option: unknown;
}

function complaintOf(work: () => unknown): Complaint {
  try {
    work();
  } catch (caught) {
    const error = caught as Error & { code?: unknown; option?: unknown };
    const kind = error instanceof TypeError ? 'TypeError' : error instanceof RangeError ? 'RangeError' : 'other';
    return { error, kind, code: error.code, option: error.option };
  }
  throw new Error('nothing was thrown');
}

describe('defaults', () => {
  it('reads what is not enumerable too, as mysql2 does: Knex hides the password so', () => {
    const { password, ...open } = OPTIONS;
    const hidden = Object.defineProperty({ ...open }, 'password', { value: password, enumerable: false });
    expect(parseOptions(hidden).mysql).toMatchObject({ password: 'mysql-secret' });
    const uri = Object.defineProperty({ fabric: 'mysql+fabric://h' }, 'password', { value: password });
    expect(parseOptions(uri).mysql).toMatchObject({ password: 'mysql-secret' });
  });

  it('are those of the documentation, and mysql2s own', () => {
    expect(parseOptions(OPTIONS)).toMatchObject({
      reportErrors: true,
      ttl: null,
      fabricTimeout: 2_000,
      failoverTimeout: 15_000,
      acquireTimeout: 10_000,
      minConnections: 0,
      maxConnections: 10,
      maxIdle: Number.POSITIVE_INFINITY,
      idleTimeout: 60_000,
      validateAfter: 5_000,
      resetOnRelease: false,
      balancer: 'weightedRoundRobin',
      target: { group: null, mode: 3 },
    });
  });

  it('can be changed, zero included', () => {
    const parsed = parseOptions({ ...OPTIONS, failoverTimeout: 0, validateAfter: 0, maxIdle: 0, reportErrors: false });
    expect(parsed).toMatchObject({ failoverTimeout: 0, validateAfter: 0, maxIdle: 0, reportErrors: false });
    expect(parseOptions({ ...OPTIONS, ttl: 0.5 }).ttl).toBe(500);
    expect(parseOptions({ ...OPTIONS, waitForConnections: false }).maxWaiting).toBe(0);
    expect(parseOptions({ ...OPTIONS, queueLimit: 7 }).maxWaiting).toBe(7);
  });

  it('may also stand in the fabric option; those beside it win', () => {
    const fabric = { ...FABRIC, reportErrors: false, ttl: 3, timeout: 400 };
    expect(parseOptions({ ...OPTIONS, fabric })).toMatchObject({ reportErrors: false, ttl: 3_000, fabricTimeout: 400 });
    expect(parseOptions({ ...OPTIONS, fabric, ttl: 9, reportErrors: true })).toMatchObject({
      ttl: 9_000,
      reportErrors: true,
    });
  });

  it('give a frozen result', () => {
    const parsed = parseOptions(OPTIONS);
    expect(Object.isFrozen(parsed)).toBe(true);
    expect(Object.isFrozen(parsed.target)).toBe(true);
    expect(Object.isFrozen(parsed.nodes)).toBe(true);
  });
});

describe('the options of mysql2', () => {
  it('are read by mysql2, but for host and port, which are the servers', () => {
    const given = {
      ...OPTIONS,
      host: 'elsewhere',
      port: 1,
      database: 'shop',
      namedPlaceholders: true,
      dateStrings: true,
    };
    const { mysql: config } = parseOptions(given);
    expect(config).toMatchObject({ user: 'app', database: 'shop', namedPlaceholders: true, dateStrings: true });
    expect(config).toMatchObject({ host: 'localhost', port: 3306 }); // until a connection is made
    const stream = (): Duplex => new Duplex();
    expect(parseOptions({ ...OPTIONS, stream, socketPath: '' }).mysql).toMatchObject({ stream });
  });

  it('hear nothing of ours, so that mysql2 warns about none', () => {
    const warned: unknown[] = [];
    const { error } = console;
    console.error = (...words: unknown[]) => warned.push(words);
    try {
      parseOptions({ ...OPTIONS, group: 'g', mode: 1, ttl: 1, balancer: 'weightedRoundRobin', acquireTimeout: 5 });
    } finally {
      console.error = error;
    }
    expect(warned).toEqual([]);
  });
});

const WRONG: readonly [option: string, kind: string, options: Record<string, unknown>][] = [
  ['fabric', 'TypeError', { fabric: undefined }],
  ['fabric', 'TypeError', { fabric: 5 }],
  ['fabric', 'TypeError', { fabric: null }],
  ['fabric', 'TypeError', { fabric: [] }],
  ['fabric', 'TypeError', { fabric: {} }],
  ['fabric', 'TypeError', { fabric: { host: 5 } }],
  ['fabric', 'TypeError', { fabric: { host: '' } }],
  ['fabric', 'TypeError', { fabric: { host: 'h', user: 'a', username: 'b' } }],
  ['fabric', 'RangeError', { fabric: { host: 'h', port: 0 } }],
  ['fabric', 'RangeError', { fabric: { host: 'h', port: 65_536 } }],
  ['fabric', 'RangeError', { fabric: { host: 'h', port: 1.5 } }],
  ['fabric', 'RangeError', { fabric: { host: 'h', port: '32274' } }],
  ['fabric', 'RangeError', { fabric: 'h:0' }],
  ['fabric', 'RangeError', { fabric: 'h:99999' }],
  ['fabric', 'RangeError', { fabric: 'h1,,h2' }],
  ['fabric', 'RangeError', { fabric: 'mysql://h' }],
  ['fabric', 'RangeError', { fabric: 'mysql+fabric://' }],
  ['fabric', 'RangeError', { fabric: 'mysql+fabric://u:p%ZZ@h' }],
  ['reportErrors', 'TypeError', { reportErrors: 'yes' }],
  ['reportErrors', 'TypeError', { reportErrors: 1 }],
  ['ttl', 'TypeError', { ttl: '5' }],
  ['ttl', 'RangeError', { ttl: 0 }],
  ['ttl', 'RangeError', { ttl: -1 }],
  ['ttl', 'RangeError', { ttl: Number.NaN }],
  ['ttl', 'RangeError', { ttl: 86_401 }],
  ['fabricTimeout', 'RangeError', { fabricTimeout: 0 }],
  ['fabricTimeout', 'TypeError', { fabricTimeout: '2s' }],
  ['failoverTimeout', 'RangeError', { failoverTimeout: -1 }],
  ['failoverTimeout', 'RangeError', { failoverTimeout: Number.POSITIVE_INFINITY }],
  ['acquireTimeout', 'RangeError', { acquireTimeout: 0 }],
  ['acquireTimeout', 'TypeError', { acquireTimeout: null }],
  ['minConnections', 'RangeError', { minConnections: -1 }],
  ['minConnections', 'TypeError', { minConnections: true }],
  ['validateAfter', 'RangeError', { validateAfter: Number.NaN }],
  ['socketPath', 'TypeError', { socketPath: '/run/mysqld/mysqld.sock' }],
  ['stream', 'TypeError', { stream: new Duplex() }],
  ['balancer', 'RangeError', { balancer: 'sticky' }],
  ['maxLifetime', 'RangeError', { maxLifetime: -1 }],
  ['maxLifetime', 'TypeError', { maxLifetime: '1h' }],
  ['slowStart', 'RangeError', { slowStart: 3_600_001 }],
  ['balancer', 'RangeError', { balancer: 'toString' }],
  ['balancer', 'RangeError', { balancer: 5 }],
  ['group', 'TypeError', { group: 5 }],
  ['group', 'RangeError', { group: '' }],
  ['mode', 'RangeError', { mode: 0 }],
  ['mode', 'RangeError', { mode: 4 }],
  ['mode', 'RangeError', { mode: 'OFFLINE' }],
  ['mode', 'TypeError', { mode: {} }],
  ['tables', 'TypeError', { tables: ['a.b'] }],
  ['key', 'TypeError', { key: 1 }],
];

describe('a wrong option', () => {
  it.each(WRONG)('%s: %s for %j', (option, kind, options) => {
    const complaint = complaintOf(() => parseOptions({ ...OPTIONS, ...options } as FabricPoolOptions));
    expect(complaint).toMatchObject({ kind, code: 'FABRIC_BAD_OPTION', option });
    expect(complaint.error.message).toMatch(new RegExp(`^${option}: `));
  });

  it('no options at all', () => {
    expect(complaintOf(() => parseOptions(null as never))).toMatchObject({ kind: 'TypeError', option: 'options' });
    expect(complaintOf(() => parseOptions(5 as never))).toMatchObject({ kind: 'TypeError', option: 'options' });
  });

  it('group with tables: they exclude each other', () => {
    const { error } = complaintOf(() => parseOptions({ ...OPTIONS, group: 'g', tables: ['a.b'] }));
    expect(error.message).toContain('exclude each other');
    const alone = complaintOf(() => parseOptions({ ...OPTIONS, tables: ['a.b'] }));
    expect(alone.error.message).toContain('sharding is not supported');
  });

  it('never shows a secret, wherever in it the mistake is', () => {
    const secret = 'S3cr3t!';
    const wrong: FabricPoolOptions[] = [
      { fabric: `mysql+fabric://admin:${secret}/more@h` },
      { fabric: `mysql+fabric://admin:${secret}%ZZ@h` },
      { fabric: `mysql+fabric://admin:${secret}@h:port` },
      { fabric: `mysql://admin:${secret}@h` },
      { fabric: `admin:${secret}@h` },
      { fabric: { host: `admin:${secret}@h`, password: secret } },
      { fabric: { host: 'h', port: 0, password: secret } },
      { ...OPTIONS, password: secret, mode: 7 as never },
    ];
    for (const options of wrong) {
      const { error } = complaintOf(() => parseOptions(options));
      expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(secret);
    }
  });
});

describe('properties', () => {
  const current = parseProperties({ group: null, mode: 3 }, { group: 'g' });

  it('change what is given and keep the rest', () => {
    expect(parseProperties(current, { mode: 1 })).toEqual({ group: 'g', mode: 1 });
    expect(parseProperties(current, { group: 'h' })).toEqual({ group: 'h', mode: 3 });
    expect(parseProperties(current, {})).toEqual(current);
    expect(parseProperties(current, { mode: undefined } as never)).toEqual(current);
  });

  it.each([
    ['READONLY', 1],
    ['read_only', 1],
    ['WRITEONLY', 2],
    ['Write_Only', 2],
    ['READWRITE', 3],
    ['READ_WRITE', 3],
    [1, 1],
    [2, 2],
    [3, 3],
  ])('mode %j is %j', (mode, code) => {
    expect(parseProperties(current, { mode: mode as never }).mode).toBe(code);
  });

  it.each([
    ['mode', 'RangeError', { mode: 0 }],
    ['mode', 'RangeError', { mode: 'toString' }],
    ['mode', 'TypeError', { mode: null }],
    ['group', 'TypeError', { group: null }],
    ['group', 'RangeError', { group: '' }],
    ['tables', 'TypeError', { tables: ['a.b'], group: 'g' }],
    ['key', 'TypeError', { key: 5 }],
    ['scope', 'TypeError', { scope: 'LOCAL' }],
    ['toString', 'TypeError', { toString: 1 }],
    ['properties', 'TypeError', null],
    ['properties', 'TypeError', 'group'],
    ['properties', 'TypeError', ['group']],
  ])('a wrong one: %s, %s for %j', (option, kind, properties) => {
    const complaint = complaintOf(() => parseProperties(current, properties as never));
    expect(complaint).toMatchObject({ kind, code: 'FABRIC_BAD_PROPERTY', option });
  });
});
