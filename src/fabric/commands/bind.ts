/** The arguments of a command, as they come by wire or from the command line, in the types of its parameters. Pure. */

export type Scalar = string | number | boolean;
export type Argument = Scalar | readonly string[];
/** `list` is of texts; one text is its parts between commas. */
export type ParamType = 'string' | 'int' | 'float' | 'bool' | 'any' | 'list';

export interface Param {
  readonly name: string;
  readonly doc: string;
  readonly type: ParamType;
  /** What it is when it is not given, or nil; without a default it must be given. */
  readonly default?: Scalar | null;
  /** A password: the command line never takes it as a word, and nobody remembers it. */
  readonly secret?: true;
}

interface Signature {
  readonly name: string;
  readonly params: readonly Param[];
}

type Bound = { readonly args: Readonly<Record<string, Argument | null>> } | { readonly problem: string };

/** By the wire's order; `problem` says what is wrong with them. */
export function bindArguments(command: Signature, given: readonly unknown[]): Bound {
  const { name, params } = command;
  if (given.length > params.length) {
    return { problem: `${name}() takes at most ${count(params.length)} (${given.length} given)` };
  }
  const args: Record<string, Argument | null> = {};
  for (const [index, param] of params.entries()) {
    const value = given[index] ?? param.default;
    if (value === undefined) return { problem: tooFew(command, given) };
    const bound = value === null ? null : convert(value, param.type);
    if (bound === undefined) return { problem: `Argument ${param.name} of ${name} must be ${KINDS[param.type]}.` };
    args[param.name] = bound;
  }
  return { args };
}

function tooFew({ name, params }: Signature, given: readonly unknown[]): string {
  const required = params.filter(param => param.default === undefined).length;
  const present = given.filter(value => value !== null && value !== undefined).length;
  return `${name}() takes at least ${count(required)} (${present} given)`;
}

const count = (n: number) => `${n} argument${n === 1 ? '' : 's'}`;

const KINDS: Readonly<Record<ParamType, string>> = {
  string: 'text',
  int: 'a whole number',
  float: 'a number',
  bool: 'true or false',
  any: 'text or a number',
  list: 'a list of texts',
};

/** The value in the parameter's type; `undefined` when it is of another kind. Numbers and booleans may come as text, as the CLI sends them. */
function convert(value: unknown, type: ParamType): Argument | undefined {
  if (type === 'list') return convertList(value);
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined;
  if (type === 'any') return value;
  if (type === 'string') return String(value);
  if (type === 'bool') return BOOLEANS.get(String(value).toLowerCase());
  const number = typeof value === 'boolean' || value === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) && (type === 'float' || Number.isInteger(number)) ? number : undefined;
}

function convertList(value: unknown): readonly string[] | undefined {
  const parts: readonly unknown[] = Array.isArray(value)
    ? value
    : typeof value === 'string'
      ? value.split(',')
      : [value];
  if (parts.some(part => typeof part === 'object' || part === undefined)) return undefined;
  return parts.map(part => String(part).trim()).filter(part => part !== '');
}

const BOOLEANS = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);
