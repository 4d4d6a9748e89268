import type { XmlRpcValue } from '../../wire/xmlrpc.js';
import type { Param, ParamType } from '../commands/bind.js';
import { type Command, type CommandContext, commandFor, notSupported } from '../commands/define.js';
import type { Caller } from '../roles.js';

/** `system.*`, by which generic clients of XML-RPC learn what there is: of the commands that the caller may call. Plain values, not Fabric's envelope. */

interface Asked {
  readonly method: string;
  readonly params: readonly XmlRpcValue[];
}

type Commands = Pick<CommandContext, 'commands'>;

/** `problem` is the fault. */
type Told = { readonly value: XmlRpcValue } | { readonly problem: string };

/** undefined: it is a call of something else. */
export function introspect({ method, params }: Asked, context: Commands, caller: Caller): Told | undefined {
  if (method === LIST)
    return { value: [...allowed(context, caller).map(({ name }) => name), LIST, ...ABOUT.keys()].sort() };
  const describe = ABOUT.get(method);
  if (!describe) return undefined;
  const [name] = params;
  const command = allowed(context, caller).find(each => each.name === name);
  return command ? { value: describe(command) } : { problem: notSupported(String(name)) };
}

function allowed(context: Commands, caller: Caller): Command[] {
  return [...context.commands.values()].filter(({ name }) => typeof commandFor(context, caller, name) !== 'string');
}

const LIST = 'system.listMethods';
const ABOUT = new Map<string, (command: Command) => XmlRpcValue>([
  ['system.methodHelp', ({ doc, params }) => [doc, ...params.map(line)].join('\n')],
  ['system.methodSignature', ({ params }) => signatures(params)],
]);

const line = ({ name, doc, default: value }: Param): string =>
  `${value === undefined ? name : `[${name}=${value === null ? 'NONE' : value}]`}: ${doc}`;

const TYPES: Readonly<Record<ParamType, string>> = {
  string: 'string',
  int: 'int',
  float: 'double',
  bool: 'boolean',
  any: 'string',
  list: 'array',
};

/** The answer is an array; what has a default may be left out from the end. */
function signatures(params: readonly Param[]): string[][] {
  const types = params.map(({ type }) => TYPES[type]);
  const required = params.filter(param => param.default === undefined).length;
  return Array.from({ length: types.length - required + 1 }, (_, left) => [
    'array',
    ...types.slice(0, required + left),
  ]);
}
