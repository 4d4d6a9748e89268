import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commands } from '../../../src/fabric/commands/all.js';
import { bindCall, parseStatement } from '../../../src/fabric/endpoints/call-statement.js';
import { cpuTime } from '../../cpu-time.js';

/** The arguments of a CALL as `name=value` or `value`, in JSON. */
function argumentsOf(list: string) {
  const statement = parseStatement(`CALL g.c(${list})`);
  if (statement.kind !== 'call') return statement.kind;
  return statement.args.map(({ name, value }) => (name === null ? value : [name, value]));
}

describe('CALL', () => {
  it.each([
    'CALL dump.servers()',
    'call dump.servers ( ) ;',
    '  CaLl\n\tdump.servers();;',
    '/* a */ CALL /* b */ dump . servers /**/ ( /* c */ ) -- d',
    '# a\nCALL dump.servers()#',
    '-- a\nCALL `dump`.`servers`()',
    '--\tCALL group.add()\nCALL dump.servers()',
  ])('%j is one', sql => {
    expect(parseStatement(sql)).toEqual({ kind: 'call', name: 'dump.servers', args: [] });
  });

  it('takes names as they are written', () => {
    expect(parseStatement('CALL group.LOOKUP_SERVERS()')).toMatchObject({ name: 'group.LOOKUP_SERVERS' });
    expect(parseStatement('CALL ping()')).toMatchObject({ name: 'ping' });
    expect(parseStatement('CALL a.b.c()')).toMatchObject({ name: 'a.b.c' });
  });

  it.each([
    ["'a'", ['a']],
    ['\'a\', "b", `c`', ['a', 'b', 'c']],
    ["''", ['']],
    ["'it''s'", ["it's"]],
    [String.raw`'it\'s', "\"", 'a\\'`, ["it's", '"', 'a\\']],
    [String.raw`'\n\t\r\0\Z\b\x'`, ['\n\t\r\0\x1a\bx']],
    [String.raw`'50\%\_'`, ['50\\%\\_']],
    ['`a``b\\`', ['a`b\\']],
    ["'a,b)', ' -- x', '/* y */'", ['a,b)', ' -- x', '/* y */']],
    ["'a=b'", ['a=b']],
    ["'name'", ['name']],
    ["'NULL'", ['NULL']],
    ['NULL, null, Null', [null, null, null]],
    ['0, 1.5, -1e3, False', ['0', '1.5', '-1e3', 'False']],
    [
      '127.0.0.1:3306, 7f620b72-e5e4-11f1-a89c-02fc00000001',
      ['127.0.0.1:3306', '7f620b72-e5e4-11f1-a89c-02fc00000001'],
    ],
    [
      "group_id='my_group', status = PRIMARY",
      [
        ['group_id', 'my_group'],
        ['status', 'PRIMARY'],
      ],
    ],
    ["'g', synchronous=False", ['g', ['synchronous', 'False']]],
    ['description=NULL', [['description', null]]],
    ["'ä€😀'", ['ä€😀']],
    ["'a' /* , 'x' */, 'b' # c\n", ['a', 'b']],
  ])('(%s)', (list, expected) => {
    expect(argumentsOf(list)).toEqual(expected);
  });

  it.each([
    'CALL',
    'CALL group.lookup_servers',
    'CALL group.lookup_servers(',
    'CALL .a()',
    'CALL a.()',
    'CALL ``.a()',
    "CALL a.b('x)",
    String.raw`CALL a.b('x\')`,
    "CALL a.b('x' 'y')",
    "CALL a.b('x',)",
    "CALL a.b(,'x')",
    'CALL a.b(x y)',
    'CALL a.b(x=)',
    'CALL a.b(1=2)',
    'CALL a.b(x=y=z)',
    'CALL a.b((1))',
    'CALL a.b(x=1, 2)',
    'CALL a.b() x',
    'CALL a.b(); CALL c.d()',
    'CALL a.b(/*)',
    'CALL a.b(?)x',
  ])('%j cannot be read', sql => {
    expect(parseStatement(sql)).toEqual({ kind: 'broken' });
  });
});

describe('other statements', () => {
  it.each([
    ['SET format=json', 'json'],
    ["set  FORMAT = 'json' ;", 'json'],
    ['SET format="xml"', 'xml'],
  ])('%j sets the format', (sql, format) => {
    expect(parseStatement(sql)).toEqual({ kind: 'format', format });
  });

  it.each(['SHOW CREATE PROCEDURE group.create', 'show create /* x */ procedure `group`.`create`;'])(
    '%j asks for help',
    sql => {
      expect(parseStatement(sql)).toEqual({ kind: 'help', name: 'group.create' });
    },
  );

  it.each([
    'SELECT * FROM INFORMATION_SCHEMA.ROUTINES',
    'select ROUTINE_NAME\nfrom `information_schema` . `routines` where 1',
  ])('%j lists the commands', sql => {
    expect(parseStatement(sql)).toEqual({ kind: 'routines' });
  });

  it.each([
    '',
    ';',
    'SELECT 1',
    'SELECT * FROM INFORMATION_SCHEMA.ROUTINES_X',
    'SET NAMES utf8',
    'SET format',
    'SET autocommit=1, format=json',
    'SHOW DATABASES',
    'SHOW CREATE TABLE group.create',
    'CALLS a.b()',
    "INSERT INTO t VALUES ('",
    '/* CALL a.b()',
    '/*!40101 SET format=json */',
  ])('%j means nothing here', sql => {
    expect(parseStatement(sql)).toEqual({ kind: 'other' });
  });
});

describe('any text', () => {
  it('comes back from quotes as it was', () => {
    const quotings = [
      (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`,
      (text: string) => `"${text.replace(/\\/g, '\\\\').replace(/"/g, '""')}"`,
      (text: string) => `\`${text.replace(/`/g, '``')}\``,
    ];
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...quotings), (text, quote) => {
        expect(argumentsOf(`${quote(text)}, x=${quote(text)}`)).toEqual([text, ['x', text]]);
      }),
    );
  });

  it('is read without an error', () => {
    const word = fc.constantFrom(
      'CALL ',
      'SET ',
      'SHOW ',
      'SELECT ',
      'a.b',
      '(',
      ')',
      "'",
      '"',
      '`',
      '\\',
      ',',
      '=',
      '/*',
      '*/',
      '--',
      '#',
      '\n',
      ';',
      ' ',
      'NULL',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 40 }), parts => {
        parseStatement(parts.join(''));
        parseStatement(`CALL a.b(${parts.join('')}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['blanks', ' '.repeat(1_000_000)],
    ['comments', '/**/'.repeat(250_000)],
    ['an open comment', `/*${'*'.repeat(1_000_000)}`],
    ['open comments', '/*'.repeat(500_000)],
    ['an open quote', `CALL a.b('${'x\\'.repeat(500_000)}`],
    ['a long text', `CALL a.b('${'x'.repeat(1_000_000)}')`],
    ['many arguments', `CALL a.b(${'1,'.repeat(500_000)}1)`],
    ['a long name', `CALL a.b(${'x'.repeat(1_000_000)}`],
    ['names', `CALL ${'a.'.repeat(500_000)}`],
    ['from', `SELECT ${'from '.repeat(200_000)}`],
    ['from and blanks', `SELECT from${' '.repeat(1_000_000)}`],
  ])('of a megabyte takes no time: %s', (_what, sql) => {
    expect(cpuTime(() => parseStatement(sql))).toBeLessThan(5_000);
  });
});

describe('the arguments of a command', () => {
  const params = commands.get('group.lookup_servers')?.params ?? [];
  const bind = (list: string) => {
    const statement = parseStatement(`CALL group.lookup_servers(${list})`);
    if (statement.kind !== 'call') throw new Error(`cannot be read: ${list}`);
    return bindCall(statement.args, params);
  };

  it.each([
    ["'g'", ['g', undefined, undefined, undefined]],
    ["'g', NULL, 'PRIMARY'", ['g', null, 'PRIMARY', undefined]],
    ["mode=1, group_id='g'", ['g', undefined, undefined, '1']],
    ["'g', status=3", ['g', undefined, '3', undefined]],
  ])('(%s) are put in order', (list, values) => {
    expect(bind(list)).toEqual({ values });
  });

  it.each([
    ['', 'group_id is missing'],
    ['status=3', 'group_id is missing'],
    ['1, 2, 3, 4, 5', '5 are too many'],
    ["'g', nosuch=1", 'there is no argument nosuch'],
    ["'g', constructor=1", 'there is no argument constructor'],
    ["'g', group_id='h'", 'group_id is given twice'],
    ["'g', mode=NULL, mode=1", 'mode is given twice'],
  ])('(%s) are not: %s', (list, problem) => {
    expect(bind(list)).toEqual({ problem });
  });
});
