import { parseArgs } from 'node:util';
import type { XmlRpcValue } from '../wire/xmlrpc.js';
import { type CliCommand, options, positionals, typed } from './catalogue.js';

/** The words of a command line: options that every command has, those of one command, and the arguments that go over the wire. */

/** A command line that means nothing. Exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** @param command whose usage helps; null: the tool's. */
  constructor(
    message: string,
    readonly command: CliCommand | null,
  ) {
    super(message);
  }
}

interface CommonOption {
  readonly name: string;
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly value?: string;
  readonly doc: string;
}

/** In the order of the help. */
export const COMMON_OPTIONS: readonly CommonOption[] = [
  { name: 'config', type: 'string', value: 'FILE', doc: 'Configuration file.' },
  {
    name: 'param',
    type: 'string',
    value: 'SECTION.KEY=VALUE',
    doc: 'One value of the configuration; may be repeated.',
  },
  { name: 'user', type: 'string', value: 'NAME', doc: 'Who calls the node.' },
  { name: 'password-file', type: 'string', value: 'FILE', doc: "File with that user's password." },
  { name: 'json', type: 'boolean', doc: 'Answer in JSON.' },
  { name: 'version', type: 'boolean', doc: 'Show the version.' },
  { name: 'help', type: 'boolean', short: 'h', doc: 'Show help.' },
];

/** What was given. Names have underscores, however they were typed. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, readonly string[]>;
}

type Types = Record<string, { type: 'string' | 'boolean'; multiple?: boolean; short?: string }>;

/**
 * @param command whose options are allowed; null: not known yet, so that options which nobody knows are passed over.
 * @throws UsageError
 */
export function parseLine(argv: readonly string[], command: CliCommand | null): CommandLine {
  const types = typesFor(command);
  const { tokens } = parseArgs({
    args: argv.map(withUnderscores(argv.indexOf('--'))),
    options: types,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words: string[] = [];
  const flags = new Set<string>();
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(...(namesCommand(words) ? token.value.split('.') : [token.value]));
    if (token.kind !== 'option') continue;
    const type = Object.hasOwn(types, token.name) ? types[token.name]?.type : undefined;
    if (type === undefined) {
      if (command) throw new UsageError(`no such option: ${token.rawName}`, command);
    } else if (type === 'boolean') {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} option does not take a value`, command);
      flags.add(token.name);
    } else {
      if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--')))
        throw new UsageError(`${token.rawName} option requires an argument`, command);
      values.set(token.name, [...(values.get(token.name) ?? []), token.value]);
    }
  }
  return { words, flags, values };
}

/** The next word does: it may be `group.promote`, as commands are called on the wire and in messages. */
function namesCommand([first, second]: readonly string[]): boolean {
  return first === undefined || (first === 'help' && second === undefined);
}

function typesFor(command: CliCommand | null): Types {
  const types: Types = {};
  for (const { name, type, short } of COMMON_OPTIONS)
    types[name.replaceAll('-', '_')] = { type, multiple: true, ...(short && { short }) };
  for (const { name, type } of command ? options(command) : [])
    types[name] = { type: type === 'bool' ? 'boolean' : 'string', multiple: true };
  return types;
}

/** `--update-only` is `--update_only`; what follows `--` stays as it is. */
const withUnderscores = (end: number) => (argument: string, index: number) => {
  if (!argument.startsWith('--') || (end >= 0 && index >= end)) return argument;
  const [name = '', ...value] = argument.split('=');
  return [`--${name.slice(2).replaceAll('-', '_')}`, ...value].join('=');
};

/** The last one counts. */
export function lastValue(line: CommandLine, name: string): string | undefined {
  return line.values.get(name)?.at(-1);
}

/**
 * The arguments in wire order: words for parameters without a default, options for the others; a flag is the opposite of its default. Passwords are
 * still missing.
 * @throws UsageError when there are too many words or too few, or a server's name is empty.
 */
export function wireArguments(command: CliCommand, line: CommandLine): XmlRpcValue[] {
  const words = line.words.slice(2);
  if (words.length !== positionals(command).length) {
    throw new UsageError(`Wrong number of parameters were provided for command '${typed(command)}'.`, command);
  }
  return command.params.map(({ name, type, default: fallback, secret }) => {
    if (secret) return null;
    if (fallback === undefined) return words.shift() ?? null;
    if (type === 'bool') return line.flags.has(name) ? !fallback : fallback;
    if (type === 'list') return line.values.get(name) ?? fallback;
    const value = lastValue(line, name);
    // On the wire it means "any", but here it is more likely a shell's variable that is not set.
    if (value === '' && NAMES_SERVER.has(name))
      throw new UsageError(`--${name} option must name a server, and is empty`, command);
    return value ?? fallback;
  });
}

const NAMES_SERVER: ReadonlySet<string> = new Set(['slave_id', 'server_id']);
