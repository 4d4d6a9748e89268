import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FabricOption, parseNodes } from '../../../src/client/fabric-nodes.js';
import { parseOptions } from '../../../src/client/options.js';

/** Each form of the `fabric` option, and the nodes it names as `user:password@host:port`. */
const FORMS: readonly [fabric: FabricOption, nodes: string[]][] = [
  ['h', ['h:32274']],
  ['h:99', ['h:99']],
  ['h1, h2:99', ['h1:32274', 'h2:99']],
  ['[::1]', ['::1:32274']],
  ['[::1]:99', ['::1:99']],
  ['::1', ['::1:32274']],
  ['mysql+fabric://h', ['h:32274']],
  ['mysql-fabric://u:p@h:99', ['u:p@h:99']],
  ['MYSQL+FABRIC://u@h', ['u:@h:32274']],
  ['mysql+fabric://u:p@h1:1,h2,[fe80::1]:3/db?group=g', ['u:p@h1:1', 'u:p@h2:32274', 'u:p@fe80::1:3']],
  ['mysql+fabric://a%40b:p%3Aq%2F%25@h', ['a@b:p:q/%@h:32274']],
  ['mysql+fabric://u:p@with@at@h', ['u:p@with@at@h:32274']],
  [{ host: 'h' }, ['h:32274']],
  [{ host: 'h', port: 99 }, ['h:99']],
  [{ host: '::1', port: 99 }, ['::1:99']],
  [{ host: 'h:5', port: 99 }, ['h:5']],
  [{ host: 'h1,h2:5', port: 99, user: 'u', password: 'p' }, ['u:p@h1:99', 'u:p@h2:5']],
  [{ host: 'h', username: 'u', password: 'p' }, ['u:p@h:32274']],
  [{ host: 'h', user: 'u', username: 'u', password: 'p' }, ['u:p@h:32274']],
  [{ nodes: ['h1', { host: 'h2', port: 5 }], user: 'u', password: 'p' }, ['u:p@h1:32274', 'u:p@h2:5']],
  [{ host: 'h0', nodes: ['h1'] }, ['h0:32274', 'h1:32274']],
  [
    ['h1', { host: 'h2', user: 'u' }],
    ['h1:32274', 'u:@h2:32274'],
  ],
];

describe('parseNodes', () => {
  it.each(FORMS)('%j', (fabric, nodes) => {
    const found = parseNodes(fabric).map(({ host, port, user, password }) => {
      const account = user === undefined ? '' : `${user}:${password ?? ''}@`;
      return `${account}${host}:${port}`;
    });
    expect(found).toEqual(nodes);
  });

  it('takes any user and password from a URI, however they are written', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 });
    fc.assert(
      fc.property(text, text, (user, password) => {
        const uri = `mysql+fabric://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h`;
        expect(parseNodes(uri)[0]).toMatchObject({ host: 'h', user, password });
      }),
    );
  });

  it('never throws anything but a FABRIC_BAD_OPTION, which does not quote the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), (text, uri) => {
        try {
          parseNodes(uri ? `mysql+fabric://${text}` : text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'FABRIC_BAD_OPTION', option: 'fabric' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a URI', () => {
  const uri = 'mysql+fabric://u%40x:p@h/my%20db?group=g&mode=READONLY&ttl=5&reportErrors=false&failoverTimeout=250';

  it('also gives the account, database, properties and settings', () => {
    const parsed = parseOptions(uri);
    expect(parsed.nodes).toMatchObject([{ host: 'h', user: 'u@x', password: 'p' }]);
    expect(parsed.target).toEqual({ group: 'g', mode: 1 });
    expect(parsed).toMatchObject({ ttl: 5_000, reportErrors: false, failoverTimeout: 250 });
    expect(parsed.mysql).toMatchObject({ user: 'u@x', password: 'p', database: 'my db' });
  });

  it('gives way to options beside it', () => {
    const parsed = parseOptions({ fabric: uri, user: 'app', password: 'q', group: 'other', ttl: 1 });
    expect(parsed.nodes).toMatchObject([{ user: 'u@x', password: 'p' }]);
    expect(parsed.mysql).toMatchObject({ user: 'app', password: 'q', database: 'my db' });
    expect(parsed.target).toEqual({ group: 'other', mode: 1 });
    expect(parsed.ttl).toBe(1_000);
  });

  it('may be given as `uri` too', () => {
    expect(parseOptions({ uri } as never).target.group).toBe('g');
  });

  it('keeps a group that is called like a number', () => {
    expect(parseOptions('mysql+fabric://h?group=5').target.group).toBe('5');
  });

  it('may have options that are objects or lists, as one of mysql2 may', () => {
    const { mysql } = parseOptions('mysql+fabric://h?ssl={"rejectUnauthorized":false}&flags=["-FOUND_ROWS"]');
    expect(mysql).toMatchObject({ ssl: { rejectUnauthorized: false } });
    expect(() => parseOptions('mysql+fabric://h?ssl={')).toThrow();
  });

  it('cannot change its own user, password and database from behind', () => {
    const parsed = parseOptions('mysql+fabric://u:p@h/db?user=root&password=x&database=other&host=evil&port=1');
    expect(parsed.mysql).toMatchObject({ user: 'u', password: 'p', database: 'db' });
    expect(parsed.nodes).toMatchObject([{ host: 'h', user: 'u' }]);
    expect(parsed.mysql.host).toBe('localhost');
  });

  it('changes no prototype', () => {
    parseOptions('mysql+fabric://h?__proto__=1&constructor=2&toString=3');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(`${{}}`).toBe('[object Object]');
  });
});
