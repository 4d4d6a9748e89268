import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  parseAddress,
  parseGroupId,
  parseMode,
  parseServerId,
  parseStatus,
  parseWeight,
} from '../../../src/fabric/model.js';

describe('statuses and modes as arguments', () => {
  it.each([
    ['FAULTY', 0],
    ['spare', 1],
    ['Secondary', 2],
    [' PRIMARY ', 3],
    [0, 0],
    [3, 3],
    ['2', 2],
  ])('status %j is %i', (given, status) => {
    expect(parseStatus(given)).toEqual({ value: status });
  });

  it.each([
    ['OFFLINE', 0],
    ['read_only', 1],
    ['WRITE_ONLY', 2],
    [3, 3],
    ['3', 3],
  ])('mode %j is %i', (given, mode) => {
    expect(parseMode(given)).toEqual({ value: mode });
  });

  it.each(['BOGUS', '', 4, -1, 1.5, '04x', true, 'length', 'constructor'])('refuses %j', given => {
    expect(parseStatus(given)).toEqual({
      problem: `Trying to use an invalid status (${given}). Possible values are (0, 'FAULTY'), (1, 'SPARE'), (2, 'SECONDARY'), (3, 'PRIMARY').`,
    });
    expect(parseMode(given)).toEqual({
      problem: `Trying to use an invalid mode (${given}). Possible values are: (0, 'OFFLINE'), (1, 'READ_ONLY'), (2, 'WRITE_ONLY'), (3, 'READ_WRITE').`,
    });
  });
});

describe('weight', () => {
  it.each([
    [0.1, 0.1],
    [1, 1],
    ['0.5', 0.5],
    ['1', 1],
    [1e-9, 1e-9],
  ])('takes %j', (given, weight) => {
    expect(parseWeight(given)).toEqual({ value: weight });
  });

  it.each([
    [0, "Cannot set the server's weight (0.0) to a value lower than or equal to 0.0"],
    [-1, "Cannot set the server's weight (-1.0) to a value lower than or equal to 0.0"],
    ['-0.5', "Cannot set the server's weight (-0.5) to a value lower than or equal to 0.0"],
    [1.5, "Cannot set the server's weight (1.5) to a value greater than 1.0"],
    ['Infinity', "Cannot set the server's weight (Infinity) to a value greater than 1.0"],
    ['abc', 'Value (abc) must be a float.'],
    ['', 'Value () must be a float.'],
    ['nan', 'Value (nan) must be a float.'],
    [Number.NaN, 'Value (NaN) must be a float.'],
    [true, 'Value (true) must be a float.'],
  ])('refuses %j', (given, problem) => {
    expect(parseWeight(given)).toEqual({ problem });
  });
});

describe('group names', () => {
  it.each(['g', 'my_group', 'a.b-c_1', 'x'.repeat(64)])('takes %j', id => {
    expect(parseGroupId(id)).toEqual({ value: id });
  });
  it.each(['', ' ', 'a b', 'a%', 'a,b', 'ä', 'a\n', 'x'.repeat(65)])('refuses %j', id => {
    expect(parseGroupId(id)).toHaveProperty('problem');
  });
});

describe('addresses', () => {
  it.each([
    ['db1', { host: 'db1', port: 3306 }],
    ['db1:3307', { host: 'db1', port: 3307 }],
    [' 127.0.0.1:65535 ', { host: '127.0.0.1', port: 65_535 }],
    ['db_1.my-net.example:1', { host: 'db_1.my-net.example', port: 1 }],
    ['[::1]', { host: '::1', port: 3306 }],
    ['[fe80::1%eth0]:3307', { host: 'fe80::1%eth0', port: 3307 }],
  ])('%j', (text, address) => {
    expect(parseAddress(text)).toEqual({ value: address });
    expect(parseAddress(formatAddress(address))).toEqual({ value: address });
  });

  it.each([
    '',
    ':3306',
    'db1:',
    'db1:0',
    'db1:65536',
    'db1:x',
    'a b',
    '::1',
    '::1:3306',
    '[::1',
    'db1:3306:3307',
    "a'b",
  ])('refuses %j', text => {
    expect(parseAddress(text)).toHaveProperty('problem');
  });

  it('takes port 0 only where any free port is meant', () => {
    expect(parseAddress('localhost:0', 1, true)).toEqual({ value: { host: 'localhost', port: 0 } });
  });

  it('comes back from its text', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
        expect(parseAddress(formatAddress({ host: name, port }))).toEqual({ value: { host: name, port } });
      }),
    );
  });
});

describe('servers as arguments', () => {
  it('knows a uuid in any case, and takes everything else for an address', () => {
    const uuid = '7f620b72-e5e4-11f1-a89c-02fc00000001';
    expect(parseServerId(uuid.toUpperCase())).toEqual({ value: uuid });
    expect(parseServerId('db1:3307')).toEqual({ value: { host: 'db1', port: 3307 } });
    expect(parseServerId(uuid.slice(1))).toEqual({ value: { host: uuid.slice(1), port: 3306 } });
  });
});
