import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Cell,
  type Column,
  type ColumnType,
  decodeEnvelope,
  decodeServers,
  encodeEnvelope,
  type Reply,
  ReplyError,
  rowsOf,
} from '../../../src/wire/reply.js';
import { FABRIC_UUID } from '../../../src/wire/topology.js';
import { Double, decodeReply, encodeReply, type XmlRpcValue } from '../../../src/wire/xmlrpc.js';

const SERVER_COLUMNS: Column[] = [
  { name: 'server_uuid', type: 'string' },
  { name: 'group_id', type: 'string' },
  { name: 'host', type: 'string' },
  { name: 'port', type: 'int' },
  { name: 'mode', type: 'int' },
  { name: 'status', type: 'int' },
  { name: 'weight', type: 'double' },
];
const SERVER = { server_uuid: 'u', group_id: 'g', host: 'h', port: 3306, mode: 3, status: 3, weight: 0.5 };

const reply = (columns: Column[], rows: Cell[][]): Reply => ({
  fabricUuid: FABRIC_UUID,
  ttl: 1,
  error: '',
  resultSets: [{ columns, rows }],
});
const serverReply = (changes: Record<string, Cell>, columns = SERVER_COLUMNS) => ({
  ...reply([], []),
  resultSets: [
    { columns: columns.map(c => c.name), rows: [columns.map(c => ({ ...SERVER, ...changes })[c.name] ?? null)] },
  ],
});

describe('encodeEnvelope', () => {
  const encodeCell = (type: ColumnType, cell: Cell) => encodeEnvelope(reply([{ name: 'a', type }], [[cell]]));

  test('gives each column its type', () => {
    const columns = (['string', 'int', 'double', 'bool'] as const).map(type => ({ name: type, type }));
    expect(encodeEnvelope(reply(columns, [['x', 1, 1, false]]))).toEqual([
      1,
      FABRIC_UUID,
      1,
      '',
      [{ info: { names: ['string', 'int', 'double', 'bool'] }, rows: [['x', 1, new Double(1), false]] }],
    ]);
  });

  test.each<[Cell, string]>([
    [null, 'None'],
    ['', ''],
    ['a\u0000\uD800b', 'a\uFFFD\uFFFDb'],
  ])('sends the text %j as %j', (cell, sent) => {
    expect(decodeEnvelope(encodeCell('string', cell)).resultSets[0]?.rows).toEqual([[sent]]);
  });

  test('sends an error with characters that XML has not', () => {
    const [, , , error] = encodeEnvelope({ ...reply([], []), error: 'bad \u0007' }) as XmlRpcValue[];
    expect(error).toBe('bad \uFFFD');
  });

  test.each<[ColumnType, Cell]>([
    ['string', 1],
    ['string', true],
    ['int', null],
    ['int', '1'],
    ['int', 1.5],
    ['int', 2 ** 31],
    ['double', null],
    ['double', Number.NaN],
    ['double', Number.POSITIVE_INFINITY],
    ['bool', 1],
    ['bool', null],
  ])('refuses in a column of type %s: %j', (type, cell) => {
    expect(() => encodeCell(type, cell)).toThrow(ReplyError);
  });

  test('refuses a row of another length, and a ttl that is none', () => {
    expect(() => encodeEnvelope(reply([{ name: 'a', type: 'int' }], [[1, 2]]))).toThrow(ReplyError);
    expect(() => encodeEnvelope({ ...reply([], []), ttl: -1 })).toThrow(ReplyError);
    expect(() => encodeEnvelope({ ...reply([], []), ttl: 0.5 })).toThrow(ReplyError);
  });
});

describe('decodeEnvelope', () => {
  const set = (names: XmlRpcValue, rows: XmlRpcValue): XmlRpcValue => ({ info: { names }, rows });

  test.each<[string, XmlRpcValue]>([
    ['no array', 'x'],
    ['the format of 1.4', [true, '', []]],
    ['too many elements', [1, 'u', 1, '', [], 0]],
    ['version 2', [2, 'u', 1, '', []]],
    ['version "1"', ['1', 'u', 1, '', []]],
    ['a uuid that is no text', [1, 1, 1, '', []]],
    ['a ttl that is no integer', [1, 'u', 0.5, '', []]],
    ['a negative ttl', [1, 'u', -1, '', []]],
    ['an error that is no text', [1, 'u', 1, null, []]],
    ['result sets that are no array', [1, 'u', 1, '', {}]],
    ['a result set that is none', [1, 'u', 1, '', [1]]],
    ['a result set of nil', [1, 'u', 1, '', [null]]],
    ['no info', [1, 'u', 1, '', [{ rows: [] }]]],
    ['an info without names', [1, 'u', 1, '', [{ info: {}, rows: [] }]]],
    ['no rows', [1, 'u', 1, '', [{ info: { names: [] } }]]],
    ['a name that is no text', [1, 'u', 1, '', [set([1], [])]]],
    ['a row that is no array', [1, 'u', 1, '', [set(['a'], ['x'])]]],
    ['a row that is too short', [1, 'u', 1, '', [set(['a', 'b'], [['x']])]]],
    ['a row that is too long', [1, 'u', 1, '', [set(['a'], [['x', 'y']])]]],
    ['a cell that is no plain value', [1, 'u', 1, '', [set(['a'], [[['x']]])]]],
  ])('refuses %s', (_, value) => {
    expect(() => decodeEnvelope(value)).toThrow(ReplyError);
  });

  test('has the reply that was encoded, over the wire', () => {
    const cells = {
      string: fc.string({ unit: 'grapheme-ascii' }),
      int: fc.integer(),
      double: fc.double({ noNaN: true, noDefaultInfinity: true }),
      bool: fc.boolean(),
    };
    const types = fc.array(fc.constantFrom<ColumnType>('string', 'int', 'double', 'bool'));
    const resultSet = types.chain(columns =>
      fc.record({
        columns: fc.constant(columns.map((type, i) => ({ name: `c${i}`, type }))),
        rows: fc.array(fc.tuple(...columns.map((type): fc.Arbitrary<Cell> => cells[type]))),
      }),
    );
    const replies = fc.record({
      fabricUuid: fc.uuid(),
      ttl: fc.nat(),
      error: cells.string,
      resultSets: fc.array(resultSet),
    });
    fc.assert(
      fc.property(replies, sent => {
        const received = decodeEnvelope(decodeReply(encodeReply(encodeEnvelope(sent))));
        const resultSets = sent.resultSets.map(({ columns, rows }) => ({ columns: columns.map(c => c.name), rows }));
        expect(received).toEqual({ ...sent, resultSets });
      }),
    );
  });
});

describe('rowsOf', () => {
  test('names the cells, whatever the names', () => {
    const [row = {}] = rowsOf({ columns: ['__proto__', 'toString'], rows: [['a', 1]] });
    expect(Object.getPrototypeOf(row)).toBeNull();
    expect(Object.entries(row)).toEqual([
      ['__proto__', 'a'],
      ['toString', 1],
    ]);
  });
});

describe('decodeServers', () => {
  const server = { uuid: 'u', group: 'g', host: 'h', port: 3306, mode: 3, status: 3, weight: 0.5 };

  test('finds the columns by name', () => {
    expect(decodeServers(serverReply({}))).toEqual([server]);
    expect(
      decodeServers(serverReply({ extra: 1 }, [{ name: 'extra', type: 'int' }, ...SERVER_COLUMNS.toReversed()])),
    ).toEqual([server]);
  });

  test('takes every status and mode, and leaves out what is being configured', () => {
    for (const code of [0, 1, 2, 3]) {
      expect(decodeServers(serverReply({ status: code, mode: code }))).toEqual([
        { ...server, status: code, mode: code },
      ]);
    }
    expect(decodeServers(serverReply({ status: 4 }))).toEqual([]);
  });

  test('an empty group has no servers', () => {
    expect(decodeServers(decodeEnvelope(encodeEnvelope(reply(SERVER_COLUMNS, []))))).toEqual([]);
  });

  test.each<[string, Cell]>([
    ['server_uuid', ''],
    ['server_uuid', null],
    ['group_id', 1],
    ['host', ''],
    ['port', 0],
    ['port', 65_536],
    ['port', 1.5],
    ['port', '3306'],
    ['mode', 4],
    ['mode', -1],
    ['mode', 'READ_WRITE'],
    ['status', 5],
    ['status', true],
    ['weight', 0],
    ['weight', -1],
    ['weight', Number.NaN],
    ['weight', Number.POSITIVE_INFINITY],
    ['weight', '1.0'],
  ])('refuses %s %j', (column, cell) => {
    expect(() => decodeServers(serverReply({ [column]: cell }))).toThrow(ReplyError);
    expect(() => decodeServers(serverReply({ [column]: cell }))).toThrow(column);
  });

  test.each(SERVER_COLUMNS.map(({ name }) => name))('refuses a reply without the column %s', missing => {
    const columns = SERVER_COLUMNS.filter(({ name }) => name !== missing);
    expect(() => decodeServers(serverReply({}, columns))).toThrow(ReplyError);
  });

  test('refuses an error and a reply without a result set', () => {
    expect(() => decodeServers({ ...serverReply({}), error: 'no such thing' })).toThrow('no such thing');
    expect(() => decodeServers({ ...serverReply({}), resultSets: [] })).toThrow(ReplyError);
  });
});
