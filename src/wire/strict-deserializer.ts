/**
 * The `xmlrpc` package's deserializer, made to accept XML-RPC only.
 *
 * As it comes it reads HTML-like tag soup: unclosed and mixed-case tags, HTML entities, `&toString;` (which becomes the
 * source of a function), `12abc` as 12, elements in any order, a member called `__proto__` that sets a prototype, values
 * nested without end; and it goes on parsing after an error. Here each of these throws at once, out of the parser.
 */
import Deserializer from 'xmlrpc/lib/deserializer.js';
import { isLegalText } from './xml-text.js';

/** Arrays and structs within each other; Fabric's deepest reply has six. */
export const MAX_DEPTH = 32;

interface Rule {
  /** The elements that may stand at each place; with `repeat`, the first place again and again. */
  readonly places: readonly (readonly string[])[];
  readonly repeat?: boolean;
  /** How many children there must be. */
  readonly required?: number;
  /** Whether text, other than white space, may stand here in place of children. */
  readonly text?: boolean;
}

interface Frame {
  readonly tag: string;
  readonly rule: Rule;
  children: number;
}

const ROOT: Rule = { places: [['methodCall', 'methodResponse']], required: 1 };
const SCALAR: Rule = { places: [], text: true };
const TYPES = ['int', 'i4', 'i8', 'boolean', 'double', 'string', 'nil', 'array', 'struct'];

const GRAMMAR: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['methodCall', { places: [['methodName'], ['params']], required: 1 }],
  ['methodResponse', { places: [['params', 'fault']], required: 1 }],
  ['methodName', SCALAR],
  ['params', { places: [['param']], repeat: true }],
  ['param', { places: [['value']], required: 1 }],
  ['fault', { places: [['value']], required: 1 }],
  ['value', { places: [TYPES], text: true }],
  ['array', { places: [['data']], required: 1 }],
  ['data', { places: [['value']], repeat: true }],
  ['struct', { places: [['member']], repeat: true }],
  ['member', { places: [['name'], ['value']], required: 2 }],
  ['name', SCALAR],
  ['nil', { places: [] }],
  ...['int', 'i4', 'i8', 'boolean', 'double', 'string'].map((tag): [string, Rule] => [tag, SCALAR]),
]);

/** XML's own five; HTML's do not exist in a document without a DTD. */
const ENTITIES = Object.assign(Object.create(null), { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" });

const INTEGER = /^\s*[-+]?\d+\s*$/;
const DECIMAL = /^\s*[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?\s*$/;
const UTF8 = /^(?:utf-?8|us-ascii)$/i;

function fail(message: string): never {
  throw new Error(message);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

/**
 * Throws for a document type or any other declaration. This looks before the parser does, which takes time that grows with
 * the square of a declaration's length.
 */
export function refuseDeclarations(xml: string): void {
  for (const [found] of xml.matchAll(/<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<!/g)) {
    if (found === '<!') fail('a document type or declaration is not allowed');
  }
}

/** One message, then throw it away. Every fault in the message is thrown through `parser.write` or `parser.end`. */
export class StrictDeserializer extends Deserializer {
  readonly #open: Frame[] = [{ tag: 'document', rule: ROOT, children: 0 }];

  constructor() {
    super();
    this.parser._parser.strict = true;
    this.parser._parser.ENTITIES = ENTITIES;
    this.parser.on('attribute', (node: { name: string }) => this.#onAttribute(node.name));
    this.parser.on('processinginstruction', (node: { name: string; body: string }) => this.#onInstruction(node));
  }

  override onError(error: unknown): void {
    throw error instanceof Error ? error : new Error(String(error));
  }

  override onOpentag({ name }: { name: string }): void {
    const parent = this.#top();
    const { places, repeat } = parent.rule;
    const place = places[repeat ? 0 : parent.children];
    const rule = GRAMMAR.get(name);
    if (!rule || !place?.includes(name)) fail(`<${name}> is not expected in <${parent.tag}> here`);
    if (parent.tag === 'value' && !isBlank(this.data.join(''))) fail(`text before <${name}> in <value>`);
    if ((name === 'array' || name === 'struct') && this.marks.length >= MAX_DEPTH) {
      fail(`values are nested more than ${MAX_DEPTH} deep`);
    }
    parent.children += 1;
    this.#open.push({ tag: name, rule, children: 0 });
    super.onOpentag({ name: name.toUpperCase() });
  }

  override onClosetag(name: string): void {
    const { tag, rule, children } = this.#top();
    if (children < (rule.required ?? 0)) fail(`<${tag}> lacks an element`);
    this.#open.pop();
    super.onClosetag(name.toUpperCase());
  }

  override onText(text: string): void {
    const { tag, rule, children } = this.#top();
    if ((!rule.text || children > 0) && !isBlank(text)) fail(`text ${shown(text)} is not expected in <${tag}>`);
    super.onText(text);
  }

  override onCDATA(text: string): void {
    this.onText(text);
  }

  override endInt(text: string): void {
    const value = INTEGER.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) fail(`${shown(text)} is no integer of at most 53 bits`);
    // `+ 0` turns the -0 of "-0" into the one zero that integers have.
    this.push(value + 0);
    this.value = false;
  }

  override endI8(text: string): void {
    this.endInt(text);
  }

  override endDouble(text: string): void {
    const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value)) fail(`${shown(text)} is no double`);
    this.push(value);
    this.value = false;
  }

  override endString(text: string): void {
    if (!isLegalText(text)) fail(`text ${shown(text)} has a character that XML does not allow`);
    super.endString(text);
  }

  override endMethodName(text: string): void {
    if (!isLegalText(text)) fail('the method name has a character that XML does not allow');
    super.endMethodName(text);
  }

  override endFault(text: string): void {
    if (this.stack[0] === null) fail('a fault needs a struct');
    super.endFault(text);
  }

  override endStruct(): void {
    const items = this.stack.splice(this.marks.pop() ?? 0);
    // Without a prototype `__proto__` is a member like any other.
    const struct: Record<string, unknown> = Object.create(null);
    for (let i = 0; i < items.length; i += 2) {
      const name = String(items[i]);
      if (name in struct) fail(`member ${shown(name)} appears twice`);
      struct[name] = items[i + 1];
    }
    this.push(struct);
    this.value = false;
  }

  #top(): Frame {
    return this.#open.at(-1) ?? fail('a closing tag too many');
  }

  /** XML-RPC has no attributes; name spaces are let pass because some clients declare one for their own extensions. */
  #onAttribute(name: string): void {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) fail(`attribute ${shown(name)} is not allowed`);
  }

  #onInstruction({ name, body }: { name: string; body: string }): void {
    if (name !== 'xml' || this.#top().tag !== 'document') fail('a processing instruction is not allowed');
    const encoding = /\bencoding\s*=\s*["']([^"']*)["']/.exec(body)?.[1];
    if (encoding !== undefined && !UTF8.test(encoding)) fail(`encoding ${shown(encoding)} is not UTF-8`);
  }
}
