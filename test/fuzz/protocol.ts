import fc from 'fast-check';

/** What the thrower must know of a protocol, and how right bytes become wrong ones. */

export interface Input {
  /** Right in its frame, so that the connection goes on, and there must be an answer. */
  readonly framed: boolean;
  /** The bytes; made late, for what has to be counted or signed. */
  bytes(): Buffer;
}

export interface Replies {
  readonly answers: number;
  /** The last answer said that no other will come. */
  readonly last: boolean;
}

export interface Protocol {
  readonly name: string;
  readonly port: number;
  /** At once. */
  readonly connections: number;
  readonly input: fc.Arbitrary<Input>;
  /** The node speaks first; null: it does not. What is answered to that lets the thrower in; null: it has no account. */
  readonly greeting: { readonly answer: ((greeting: Buffer) => Buffer) | null } | null;
  /** Waits, bounded, until the thrower is let in: what was guessed before may still count against its account. */
  readonly before?: () => Promise<void>;
  /** Judges all that the node sent. @throws Error when it breaks the protocol; at the end nothing may be left over. */
  judge(heard: Buffer, ended: boolean): Replies;
}

type Mutation = readonly [kind: number, at: number, length: number, filling: string];

/** Texts in which parsers are wrong. */
const TOKENS = [
  '\0',
  '\r\n',
  '\n',
  '\xff\xff',
  '\xfe',
  '%n',
  "'",
  '"',
  '`',
  '\\',
  '(',
  ')',
  ',',
  '=',
  ';',
  '--',
  '/*',
  '*/',
  '&',
  ']]>',
];
const XML = [
  '<value>',
  '</value>',
  '<int>',
  '<array><data>',
  '<struct><member>',
  '<nil/>',
  '<!--',
  '<![CDATA[',
  '<!DOCTYPE a>',
  '&amp;',
  '&#0;',
];
const filling = fc.oneof(
  fc.constantFrom(...TOKENS, ...XML, '0', '-1', '4294967296', 'NaN', '9'.repeat(400), 'a'.repeat(3_000)),
  fc.uint8Array({ maxLength: 12 }).map(bytes => Buffer.from(bytes).toString('latin1')),
);
const mutation: fc.Arbitrary<Mutation> = fc.tuple(fc.nat(4), fc.nat(1_000_000), fc.nat(40), filling);
/** Often one, sometimes many. */
export const mutations = fc.oneof(
  { weight: 3, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.array(mutation, { minLength: 2, maxLength: 8 }) },
);

/** Of a text in which each character is a byte. */
export function mutate(text: string, changes: readonly Mutation[]): string {
  return changes.reduce((given, [kind, where, length, filling]) => {
    const at = where % (given.length + 1);
    const [before, there, after] = [given.slice(0, at), given.slice(at, at + length), given.slice(at + length)];
    if (kind === 0) return before + filling + there + after;
    if (kind === 1) return before + filling + after;
    if (kind === 2) return before + after;
    if (kind === 3) return before + there + there + after;
    return before;
  }, text);
}
