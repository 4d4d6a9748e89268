import type { Param } from '../commands/bind.js';

/** What a client of the MySQL protocol asks for: the few statements that mean something here, told from all others. Pure. */

export type Statement =
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly CallArgument[] }
  /** `SET format = ...` */
  | { readonly kind: 'format'; readonly format: string }
  /** `SHOW CREATE PROCEDURE ...` */
  | { readonly kind: 'help'; readonly name: string }
  /** `SELECT ... FROM INFORMATION_SCHEMA.ROUTINES` */
  | { readonly kind: 'routines' }
  /** A CALL that cannot be read. */
  | { readonly kind: 'broken' }
  /** All that clients say to a MySQL server by habit. */
  | { readonly kind: 'other' };

/** Text as it was written, without its quotes; null for a bare NULL. */
export interface CallArgument {
  /** null: it counts by its place. */
  readonly name: string | null;
  readonly value: string | null;
}

const BROKEN: Statement = { kind: 'broken' };
const OTHER: Statement = { kind: 'other' };

/** Keywords count in any case, names as they are. Never throws. */
export function parseStatement(sql: string): Statement {
  const scanner = new Scanner(sql);
  switch (scanner.keyword()) {
    case 'CALL':
      return parseCall(scanner) ?? BROKEN;
    case 'SET':
      return parseFormat(scanner) ?? OTHER;
    case 'SHOW':
      return parseHelp(scanner) ?? OTHER;
    case 'SELECT':
      return ROUTINES.test(sql) ? { kind: 'routines' } : OTHER;
    default:
      return OTHER;
  }
}

const ROUTINES = /\bfrom\s+`?information_schema`?\s*\.\s*`?routines\b/i;

function parseCall(scanner: Scanner): Statement | null {
  const name = scanner.procedureName();
  if (name === null || !scanner.symbol('(')) return null;
  const args: CallArgument[] = [];
  if (!scanner.symbol(')')) {
    do {
      const argument = parseArgument(scanner);
      // Which place would one have that comes after a named one?
      if (!argument || (argument.name === null && args.at(-1)?.name)) return null;
      args.push(argument);
    } while (scanner.symbol(','));
    if (!scanner.symbol(')')) return null;
  }
  return scanner.atEnd() ? { kind: 'call', name, args } : null;
}

function parseArgument(scanner: Scanner): CallArgument | null {
  const name = scanner.argumentName();
  const quoted = scanner.quoted();
  if (quoted !== null) return { name, value: quoted };
  const bare = scanner.bare();
  if (bare === null) return null;
  return { name, value: bare.toUpperCase() === 'NULL' ? null : bare };
}

function parseFormat(scanner: Scanner): Statement | null {
  if (scanner.keyword() !== 'FORMAT' || !scanner.symbol('=')) return null;
  const format = scanner.quoted() ?? scanner.bare();
  return format !== null && scanner.atEnd() ? { kind: 'format', format } : null;
}

function parseHelp(scanner: Scanner): Statement | null {
  if (scanner.keyword() !== 'CREATE' || scanner.keyword() !== 'PROCEDURE') return null;
  const name = scanner.procedureName();
  return name !== null && scanner.atEnd() ? { kind: 'help', name } : null;
}

const BLANK = /\s+|\/\*[\s\S]*?\*\/|#[^\n]*|--(?=\s|$)[^\n]*/y;
const WORD = /[a-z_]\w*/iy;
const ARGUMENT_NAME = /([a-z_]\w*)(?:\s*)=/iy;
const NAME_PART = /`([^`]+)`|([\w$-]+)/y;
const BARE = /(?!\/\*)[^\s,()'"`=;]+/y;

/** What a backslash makes of the next character, as in MySQL; of all others it makes nothing else. */
const ESCAPED = new Map([
  ['0', '\0'],
  ['b', '\b'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['Z', '\x1a'],
  ['%', '\\%'],
  ['_', '\\_'],
]);

/** Goes over a statement once, part by part; blanks and comments may stand before each part. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next word in upper case. */
  keyword(): string | null {
    return this.#take(WORD)?.[0].toUpperCase() ?? null;
  }

  /** `group.command`, of which each part may be in backquotes. */
  procedureName(): string | null {
    const parts: string[] = [];
    do {
      const part = this.#take(NAME_PART);
      if (!part) return null;
      parts.push(part[1] ?? part[2] ?? '');
    } while (this.symbol('.'));
    return parts.join('.');
  }

  argumentName(): string | null {
    return this.#take(ARGUMENT_NAME)?.[1] ?? null;
  }

  bare(): string | null {
    return this.#take(BARE)?.[0] ?? null;
  }

  symbol(symbol: string): boolean {
    this.#skipBlanks();
    if (this.#text[this.#at] !== symbol) return false;
    this.#at += 1;
    return true;
  }

  atEnd(): boolean {
    while (this.symbol(';'));
    return this.#at >= this.#text.length;
  }

  /** A text in quotes of any kind; a doubled quote in it is one, and a backslash escapes unless they are backquotes. */
  quoted(): string | null {
    this.#skipBlanks();
    const text = this.#text;
    const quote = text[this.#at] ?? '';
    if (!/['"`]/.test(quote)) return null;
    let value = '';
    for (let at = this.#at + 1; at < text.length; at += 1) {
      const character = text[at] ?? '';
      if (character === '\\' && quote !== '`') {
        at += 1;
        const next = text[at] ?? '';
        value += ESCAPED.get(next) ?? next;
      } else if (character !== quote) {
        value += character;
      } else if (text[at + 1] === quote) {
        at += 1;
        value += quote;
      } else {
        this.#at = at + 1;
        return value;
      }
    }
    return null;
  }

  #skipBlanks(): void {
    while (this.#match(BLANK));
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    this.#skipBlanks();
    return this.#match(pattern);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }
}

type Bound = { readonly values: readonly (string | null | undefined)[] } | { readonly problem: string };

/** The arguments in the command's order, `undefined` where none was given; or why they are not its arguments. */
export function bindCall(args: readonly CallArgument[], params: readonly Param[]): Bound {
  const values = new Array<string | null | undefined>(params.length).fill(undefined);
  for (const [place, { name, value }] of args.entries()) {
    const index = name === null ? place : params.findIndex(param => param.name === name);
    if (index < 0) return { problem: `there is no argument ${name}` };
    if (index >= params.length) return { problem: `${args.length} are too many` };
    if (values[index] !== undefined) return { problem: `${name} is given twice` };
    values[index] = value;
  }
  const missing = params.find((param, index) => param.default === undefined && values[index] === undefined);
  return missing ? { problem: `${missing.name} is missing` } : { values };
}
