import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_DEPTH } from '../../../src/wire/strict-deserializer.js';
import {
  Double,
  decodeCall,
  decodeReply,
  encodeCall,
  encodeFault,
  encodeReply,
  XmlRpcError,
  XmlRpcFault,
  type XmlRpcValue,
} from '../../../src/wire/xmlrpc.js';
import { cpuTime } from '../../cpu-time.js';

const reply = (value: string) =>
  `<?xml version="1.0"?><methodResponse><params><param><value>${value}</value></param></params></methodResponse>`;
const wireForm = (value: XmlRpcValue) => /<param><value>(.*)<\/value><\/param>/s.exec(encodeReply(value))?.[1];

/** The value nested in n arrays. */
function nested(n: number): XmlRpcValue {
  return n === 0 ? 1 : [nested(n - 1)];
}

describe('encoding', () => {
  test.each<[XmlRpcValue, string]>([
    [1, '<int>1</int>'],
    [-0, '<int>0</int>'],
    [2_147_483_647, '<int>2147483647</int>'],
    [-2_147_483_648, '<int>-2147483648</int>'],
    [2_147_483_648, '<double>2147483648.0</double>'],
    [0.25, '<double>0.25</double>'],
    [new Double(1), '<double>1.0</double>'],
    [new Double(-0), '<double>-0.0</double>'],
    [new Double(1795290654.852488), '<double>1795290654.852488</double>'],
    [new Double(1e30), '<double>1e+30</double>'],
    [true, '<boolean>1</boolean>'],
    [null, '<nil/>'],
    ['a<b>&"c', '<string>a&lt;b&gt;&amp;"c</string>'],
    ['a]]>b]]>c&', '<string>a]]&gt;b]]&gt;c&amp;</string>'],
    ['\r\n', '<string>&#xD;\n</string>'],
    [[1, 'x'], '<array><data><value><int>1</int></value><value><string>x</string></value></data></array>'],
    [{ a: 1 }, '<struct><member><name>a</name><value><int>1</int></value></member></struct>'],
  ])('%j', (value, xml) => {
    expect(wireForm(value)).toBe(xml);
  });

  test.each<[string, unknown]>([
    ['NaN', Number.NaN],
    ['an infinity', new Double(Number.POSITIVE_INFINITY)],
    ['a control character', 'a\u0001'],
    ['half a surrogate pair', '\uD800'],
    ['a noncharacter', '\uFFFF'],
    ['such a member name', { '\u0000': 1 }],
    ['undefined', [undefined]],
    ['a hole', new Array(1)],
    ['a bigint', 1n],
    ['a date', new Date(0)],
    ['a buffer', Buffer.from('x')],
    ['too deep a nesting', nested(MAX_DEPTH + 1)],
  ])('refuses %s', (_, value) => {
    expect(() => encodeReply(value as XmlRpcValue)).toThrow(XmlRpcError);
    expect(() => encodeCall('a.b', [value as XmlRpcValue])).toThrow(XmlRpcError);
  });

  test('refuses a method name that is empty or that XML cannot carry', () => {
    expect(() => encodeCall('', [])).toThrow(XmlRpcError);
    expect(() => encodeCall('a\u0000', [])).toThrow(XmlRpcError);
  });

  test('a fault reaches its reader whatever its text', () => {
    const decode = () => decodeReply(encodeFault(1, 'no \u0000 <such> \uD800 thing'));
    expect(decode).toThrow(
      expect.objectContaining({ name: 'XmlRpcFault', code: 1, text: 'no \uFFFD <such> \uFFFD thing' }),
    );
  });
});

describe('decoding', () => {
  test.each<[string, XmlRpcValue]>([
    ['plain', 'plain'],
    ['', ''],
    ['  <string> a </string>\n', ' a '],
    ['<string><![CDATA[<a>&amp;]]>b</string>', '<a>&amp;b'],
    ['<string>a<!-- c <!x> -->b</string>', 'ab'],
    ['<![CDATA[<!DOCTYPE a>]]>', '<!DOCTYPE a>'],
    ['&#x1F600;&lt;', '\u{1F600}<'],
    ['<string>a\r\nb\rc&#xD;</string>', 'a\nb\nc\r'],
    ['<i4>-7</i4>', -7],
    ['<int>-0</int>', 0],
    ['<i8>9007199254740991</i8>', 9_007_199_254_740_991],
    ['<double>1e3</double>', 1000],
    ['<boolean>0</boolean>', false],
    ['<nil/>', null],
    ['<nil></nil>', null],
    ['<array><data/></array>', []],
  ])('%j', (xml, value) => {
    expect(decodeReply(reply(xml))).toStrictEqual(value);
  });

  test.each([
    ['an integer with letters', '<int>12a</int>'],
    ['an empty integer', '<int></int>'],
    ['an i8 that a number cannot hold', '<i8>9007199254740993</i8>'],
    ['a hexadecimal double', '<double>0x10</double>'],
    ['a double without end', '<double>1e999</double>'],
    ['nan', '<double>nan</double>'],
    ['a boolean word', '<boolean>true</boolean>'],
    ['text beside a type', 'a<int>1</int>'],
    ['text behind a type', '<int>1</int>a'],
    ['text in an array', '<array>a<data></data></array>'],
    ['text in nil', '<nil>a</nil>'],
    ['two types', '<int>1</int><int>2</int>'],
    ['an array without data', '<array></array>'],
    ['a member without a value', '<struct><member><name>a</name></member></struct>'],
    ['a member back to front', '<struct><member><value>1</value><name>a</name></member></struct>'],
    ['a member twice', `<struct>${'<member><name>a</name><value>1</value></member>'.repeat(2)}</struct>`],
    ['an unknown type', '<base64>AAAA</base64>'],
    ['a type in capitals', '<INT>1</INT>'],
    ['an attribute', '<int a="1">1</int>'],
    ["an attribute that shadows one of the parser's own methods", '<int hasOwnProperty="" b="">1</int>'],
    ['an HTML entity', '&nbsp;'],
    ['an entity that is a property of every object', '&toString;'],
    ['a character that is none', '&#x110000;'],
    ['a character that XML forbids', '&#1;'],
    ['half a surrogate pair', '\uD800'],
    ['a processing instruction', '<?php 1 ?>'],
    ['an unclosed tag', '<string>a'],
    ['a crossed tag', '<array><data></array></data>'],
    [
      'too deep a nesting',
      `${'<array><data><value>'.repeat(MAX_DEPTH + 1)}1${'</value></data></array>'.repeat(MAX_DEPTH + 1)}`,
    ],
  ])('refuses %s', (_, xml) => {
    expect(() => decodeReply(reply(xml))).toThrow(XmlRpcError);
  });

  const call = '<methodCall><methodName>a.b</methodName></methodCall>';
  test.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['white space', ' \n'],
    ['other text', 'garbage'],
    ['JSON', '{"method":"a.b"}'],
    ['binary', Buffer.from([0, 255, 1, 254])],
    ['UTF-16', Buffer.from(`\uFEFF${call}`, 'utf16le')],
    ['another declared encoding', `<?xml version="1.0" encoding="ISO-8859-1"?>${call}`],
    [
      'broken UTF-8',
      Buffer.concat([
        Buffer.from('<methodCall><methodName>'),
        Buffer.from([0xc3]),
        Buffer.from('</methodName></methodCall>'),
      ]),
    ],
    ['a document type', `<!DOCTYPE a [<!ENTITY b "c">]>${call}`],
    ['a declaration', `<!ENTITY b "c">${call}`],
    ['a document type behind a comment', `<!-- a --><!DOCTYPE a>${call}`],
    ['a declaration without quotes', `<!ELEMENT b>${call}`],
    ['a processing instruction in front', `<?php 1 ?>${call}`],
    ['a second XML header', `<methodCall><?xml version="1.0"?><methodName>a.b</methodName></methodCall>`],
    ['text behind the message', `${call}a`],
    ['a second message', `${call}${call}`],
    ['another root', '<html></html>'],
    ['a call without a name', '<methodCall><methodName></methodName></methodCall>'],
    ['a call without anything', '<methodCall/>'],
    ['a reply without a value', '<methodResponse><params></params></methodResponse>'],
    ['a reply without anything', '<methodResponse/>'],
    ['a fault of nil', '<methodResponse><fault><value><nil/></value></fault></methodResponse>'],
    ['a fault with a code that is no number', encodeFault(1, 'a').replace('<int>1</int>', '<string>1</string>')],
    ['a fault without a text', encodeFault(1, 'a').replace('faultString', 'other')],
    ['a fault without a code', '<methodResponse><fault><value><struct/></value></fault></methodResponse>'],
    ['two values', reply('1').replace('</param>', '</param><param><value>2</value></param>')],
  ])('refuses %s', (_, xml) => {
    expect(() => decodeReply(xml)).toThrow(XmlRpcError);
    expect(() => decodeCall(xml)).toThrow(XmlRpcError);
  });

  test('says what was wrong', () => {
    const faultOfNil = '<methodResponse><fault><value><nil/></value></fault></methodResponse>';
    expect(() => decodeReply(faultOfNil)).toThrow('Not a valid XML-RPC message: a fault needs a struct');
    expect(() => decodeReply(reply('<int>x</int>'))).toThrow('"x" is no integer');
    expect(() => decodeReply(reply(`<int>${'x'.repeat(1000)}</int>`))).toThrow(/^.{0,150}$/);
  });

  test('a call is no reply, and the other way round', () => {
    expect(() => decodeReply(call)).toThrow(XmlRpcError);
    expect(() => decodeCall(reply('1'))).toThrow(XmlRpcError);
    expect(() => decodeCall(encodeFault(1, 'a'))).toThrow(XmlRpcError);
  });

  test('each beginning of a message is refused', () => {
    const whole = encodeReply([1, 'a<b', { c: null }]);
    for (let i = 0; i < whole.length; i += 1) expect(() => decodeReply(whole.slice(0, i))).toThrow(XmlRpcError);
  });

  test('a member called __proto__ is a member like any other', () => {
    const struct = decodeReply(
      reply(
        '<struct><member><name>__proto__</name><value><struct><member><name>a</name><value>1</value></member></struct></value></member></struct>',
      ),
    ) as Record<string, unknown>;
    expect(Object.getPrototypeOf(struct)).toBeNull();
    expect(Object.keys(struct)).toEqual(['__proto__']);
    expect(struct.a).toBeUndefined();
  });

  test('bytes are read as UTF-8, with or without a mark', () => {
    expect(decodeCall(Buffer.from(`\uFEFF${encodeCall('a.b', ['ü\u{1F600}'])}`)).params).toEqual(['ü\u{1F600}']);
  });

  test('a long message is read in time that grows with its length only', () => {
    const rows = Array.from({ length: 2000 }, (_, i) => [`server ${i}`, 'x'.repeat(100), i]);
    expect(decodeReply(encodeReply(rows))).toEqual(rows);
  });
});

describe('time', () => {
  const MEGA = 1_000_000;
  test.each<[string, string]>([
    ['a declaration', `<!${'a'.repeat(MEGA)}`],
    ['declarations', '<!'.repeat(MEGA)],
    ['open comments', '<!--'.repeat(MEGA)],
    ['comments', `${'<!---->'.repeat(MEGA / 10)}<`],
    ['a document type', `<!DOCTYPE a [${'<!ENTITY b "c">'.repeat(MEGA / 10)}]>`],
    ['an instruction', `<?xml ${'encoding='.repeat(MEGA / 10)}?>`],
    ['tags', '<value>'.repeat(MEGA / 10)],
    ['an attribute', `<methodCall a="${'b'.repeat(MEGA)}`],
    ['a name', `<${'a'.repeat(MEGA)}`],
    ['an entity', reply(`&${'a'.repeat(MEGA)};`)],
    ['entities', reply(`<int>${'&lt;'.repeat(MEGA / 10)}</int>`)],
    ['digits', reply(`<double>${'1'.repeat(MEGA)}x</double>`)],
    ['digits of an integer', reply(`<int>${'1'.repeat(MEGA)}x</int>`)],
    ['white space', reply(`<int>${' '.repeat(MEGA)}x</int>`)],
    ['nesting', reply('<array><data><value>'.repeat(MEGA / 10))],
  ])('a message with a million of %s is refused soon', (_, xml) => {
    expect(cpuTime(() => expect(() => decodeReply(xml)).toThrow(XmlRpcError))).toBeLessThan(10_000);
  });
});

describe('properties', () => {
  const text = fc
    .string({ unit: 'grapheme' })
    .map(value => value.replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, ''));
  const number = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }));
  const { value: values } = fc.letrec<{ value: XmlRpcValue }>(tie => ({
    value: fc.oneof(
      { maxDepth: 6 },
      fc.constant(null),
      fc.boolean(),
      number.map(n => n + 0),
      text,
      fc.constantFrom(']]>', ']]>]]>&', '<', '\r', '__proto__', ' '),
      fc.array(tie('value')),
      fc.dictionary(fc.oneof(text, fc.constant('__proto__')), tie('value'), { noNullPrototype: false }),
    ),
  }));
  const plain = (value: XmlRpcValue) => JSON.stringify(value);

  test('what was encoded is what is decoded', () => {
    fc.assert(
      fc.property(text.filter(Boolean), fc.array(values), (method, params) => {
        const call = decodeCall(Buffer.from(encodeCall(method, params)));
        expect(call.method).toBe(method);
        expect(plain(call.params)).toBe(plain(params));
        expect(plain(decodeReply(encodeReply(params)))).toBe(plain(params));
      }),
    );
  });

  test('a fault keeps its code and its text', () => {
    fc.assert(
      fc.property(fc.integer(), text, (code, words) => {
        expect(() => decodeReply(encodeFault(code, words))).toThrow(expect.objectContaining({ code, text: words }));
      }),
    );
  });

  /** Anything may come out but an error of another kind. */
  function onlyKnownErrors(xml: string | Uint8Array): void {
    for (const decode of [decodeCall, decodeReply]) {
      try {
        decode(xml);
      } catch (error) {
        if (!(error instanceof XmlRpcError || error instanceof XmlRpcFault)) throw error;
      }
    }
  }

  test('random text and bytes never fail in another way', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array()), onlyKnownErrors));
  });

  test('broken messages never fail in another way', () => {
    const pieces = [
      '<',
      '>',
      '/',
      '&',
      ';',
      '"',
      ']]>',
      '<![CDATA[',
      '<!--',
      '<!DOCTYPE',
      '<?',
      '</',
      '<value>',
      '</value>',
      '<nil/>',
    ];
    const piece = fc.oneof(fc.constantFrom(...pieces, '\u0000', ''), fc.string());
    fc.assert(
      fc.property(
        values,
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), fc.nat(9), piece), { minLength: 1, maxLength: 4 }),
        (value, fault, cuts) => {
          let xml = fault ? encodeFault(1, 'words') : encodeReply(value);
          for (const [at, length, put] of cuts) {
            const start = at % (xml.length + 1);
            xml = xml.slice(0, start) + put + xml.slice(start + length);
          }
          onlyKnownErrors(xml);
        },
      ),
      { numRuns: 500 },
    );
  });
});
