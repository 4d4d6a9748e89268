import { describe, expect, test } from 'vitest';
import { answer, ha1, parseChallenge, REALM } from '../../src/wire/digest.js';
import { type Cell, type Column, decodeEnvelope, decodeServers, encodeEnvelope } from '../../src/wire/reply.js';
import { FABRIC_UUID } from '../../src/wire/topology.js';
import { decodeCall, decodeReply, encodeCall, encodeReply, XmlRpcError, XmlRpcFault } from '../../src/wire/xmlrpc.js';
import { capturedMessages, type Message } from './wire-captures.js';

const messages = capturedMessages();
const row = (message: Message): [string, Message] => [`${message.file}: ${message.startLine}`, message];
const requests = messages.filter(message => message.kind === 'request');
const wellFormed = requests.filter(message => message.file !== 'xml-malformed.txt');
const answers = messages.filter(message => message.kind === 'response' && message.body !== '');
const envelopes = answers.filter(message => !message.body.includes('<fault>'));
const faults = answers.filter(message => message.body.includes('<fault>'));
const authorized = requests.filter(message => message.headers.has('authorization'));

/** The captured document without what only lays it out: `array[int, string, ...]` and so on, with the values. */
function skeleton(xml: string): string {
  return xml
    .replace(/<\?xml[^>]*\?>/, '')
    .replace(/\n\s*(?=<)/g, '')
    .replace(/<(\w+)\/>/g, '<$1></$1>')
    .trim();
}

/** The times in a reply have more digits than a double: compare them as numbers. */
function sameNumbers(xml: string): string {
  return xml.replace(/(?<=<double>)[^<]+/g, text => String(Number(text)));
}

function typeOf(column: string, cell: Cell | undefined): Column['type'] {
  if (column === 'weight' || column === 'when') return 'double';
  if (typeof cell === 'number') return 'int';
  return typeof cell === 'boolean' ? 'bool' : 'string';
}

/** The method a file is about: its name up to the first '-'; three files are called after something else. */
function methodOf({ file }: Message): string {
  if (file.startsWith('auth-')) return 'dump.fabric_nodes';
  return file.replace(/(?:-.*)?\.txt$/, '');
}

test('the captures are all there', () => {
  expect([requests.length, answers.length, faults.length, authorized.length]).toEqual([44, 42, 3, 43]);
});

describe('requests', () => {
  test.each(wellFormed.map(row))('%s', (_, message) => {
    const call = decodeCall(message.body);
    expect(call.method).toBe(methodOf(message));
    expect(call.params.length).toBe(message.body.split('<param>').length - 1);
    expect(skeleton(encodeCall(call.method, call.params))).toBe(skeleton(message.body));
  });

  test('the arguments come in the order of the wire, with nil as null', () => {
    const bodyOf = (file: string) => requests.find(message => message.file === file)?.body ?? '';
    expect(decodeCall(bodyOf('dump.servers-group.txt')).params).toEqual([0, 'my_group']);
    expect(requests.some(({ body }) => body.includes('<nil/>') && decodeCall(body).params.includes(null))).toBe(true);
  });

  test('the malformed one', () => {
    const malformed = requests.find(message => message.file === 'xml-malformed.txt');
    expect(() => decodeCall(malformed?.body ?? '')).toThrow(
      new XmlRpcError('Not a valid XML-RPC message: Unclosed root tag'),
    );
  });
});

describe('responses', () => {
  test.each(envelopes.map(row))('%s', (_, { body }) => {
    const decoded = decodeEnvelope(decodeReply(body));
    expect(decoded).toMatchObject({ fabricUuid: FABRIC_UUID, ttl: 1 });
    const resultSets = decoded.resultSets.map(({ columns, rows }) => ({
      columns: columns.map((name, i) => ({ name, type: typeOf(name, rows[0]?.[i]) })),
      rows,
    }));
    const ours = encodeReply(encodeEnvelope({ ...decoded, resultSets }));
    expect(sameNumbers(skeleton(ours))).toBe(sameNumbers(skeleton(body)));
  });

  test.each(faults.map(row))('%s', (_, { body }) => {
    const decode = () => decodeReply(body);
    expect(decode).toThrow(XmlRpcFault);
    expect(decode).toThrow(expect.objectContaining({ code: 1, text: expect.stringMatching(/^<(type|class) '/) }));
  });

  const dumps = envelopes.filter(({ file }) => file.startsWith('dump.servers'));
  test.each(dumps.map(row))('%s: its servers', (_, { body }) => {
    const servers = decodeServers(decodeEnvelope(decodeReply(body)));
    expect(servers.length).toBeGreaterThanOrEqual(2);
    for (const server of servers) {
      expect(server).toMatchObject({ group: 'my_group', host: '127.0.0.1', weight: 1 });
      expect(server.uuid).toMatch(/^[\da-f-]{36}$/);
    }
    expect(servers.filter(server => server.status === 3)).toMatchObject([{ port: 34004, mode: 3 }]);
  });
});

describe('digest', () => {
  test('the challenge', () => {
    const header = messages.map(message => message.headers.get('www-authenticate')).find(Boolean) ?? '';
    expect(parseChallenge(header)).toEqual({
      realm: REALM,
      nonce: 'MjAyNi0xMS0yMVQxOTo1Mjo1My45NDAxNzY7O2VkMjQxOGZiNzNjOWQxZGQwYTIwODQ1ZjU3MzMwOWUx',
      opaque: 'f234b2c087894dada624944f77b0926d',
      algorithm: 'MD5',
      qop: 'auth',
      stale: false,
    });
  });

  // The header's fields are a challenge's and an answer's at once: parse it as a challenge to have the challenge it answers.
  test.each(authorized.map(row))('%s', (_, { file, headers }) => {
    const header = headers.get('authorization') ?? '';
    const challenge = parseChallenge(header);
    const field = (name: string) => new RegExp(`\\b${name}="?([^",]+)`).exec(header)?.[1] ?? '';
    const password = file === 'auth-04-wrong-password.txt' ? 'wrong' : 'adminpass';
    const nc = Number.parseInt(field('nc'), 16);
    if (!challenge) throw new Error('not parsed');
    expect(answer(challenge, { user: field('username'), password, nc, cnonce: field('cnonce') })).toBe(header);
  });

  test('the stored form of a password has the literal realm', () => {
    expect(ha1('admin', 'adminpass')).toMatch(/^[\da-f]{32}$/);
    expect(ha1('admin', 'adminpass')).not.toBe(ha1('admin', 'adminpas'));
  });
});
