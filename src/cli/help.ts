import type { Param } from '../fabric/commands/bind.js';
import { COMMON_OPTIONS, UsageError } from './arguments.js';
import { type CliCommand, catalogue, commandsOf, groups, options, positionals, typed } from './catalogue.js';

/** Every text that explains the tool, from the commands themselves. */

export const TOOL = 'mysqlfabric';

const GENERAL_USAGE = `${TOOL} [--config FILE] [--param SECTION.KEY=VALUE]... <group> <command> [argument]... [--option=value]...`;

/** As the original has it: two blanks between the parts, and behind. */
export function usage(command: CliCommand): string {
  const words = [typed(command), ...positionals(command).map(({ name }) => name)].join(' ');
  return `${words}  ${options(command).map(optionUsage).join(' ')}  `;
}

/** `[--timeout=NONE]`, with the default; `[--update_only]` for what is on or off. */
function optionUsage({ name, type, default: fallback }: Param): string {
  return type === 'bool' ? `[--${name}]` : `[--${name}=${String(fallback ?? 'none').toUpperCase()}]`;
}

/** What stands on stderr for a command line that means nothing. */
export function usageError({ message, command }: UsageError): string {
  const [first, hint] = command
    ? [usage(command), '']
    : [GENERAL_USAGE, `Try '${TOOL} help' or '${TOOL} help commands'.\n`];
  return `Usage:  ${first}\n\n${TOOL}: error: ${message}\n${hint}`;
}

/** @param topic the words after `help`. @throws UsageError for an unknown one. */
export function help(topic: readonly string[]): string {
  const [first, second] = topic;
  if (first === undefined) return generalHelp();
  if (first === 'groups') return `${groups.join('\n')}\n`;
  if (first === 'commands') return commandList([...catalogue.values()]);
  const ofGroup = commandsOf(first);
  if (ofGroup.length === 0) throw new UsageError(`There is no group '${first}'.`, null);
  if (second === undefined) return commandList(ofGroup);
  const command = catalogue.get(`${first}.${second}`);
  if (!command) throw new UsageError(`There is no command '${first} ${second}'.`, null);
  return commandHelp(command);
}

function generalHelp(): string {
  return `Usage:  ${GENERAL_USAGE}

Commands of a Fabric node, which keeps groups of MySQL servers and promotes one when another fails.

Options:
${columns(COMMON_OPTIONS.map(({ name, short, value, doc }) => [`${short ? `-${short}, ` : ''}--${name}${value ? `=${value}` : ''}`, doc]))}
Help:
${columns([
  [`${TOOL} help groups`, 'The groups of commands.'],
  [`${TOOL} help commands`, 'All commands.'],
  [`${TOOL} help <group>`, 'The commands of a group.'],
  [`${TOOL} help <group> <command>`, 'A command, its arguments and options.'],
  [`${TOOL} completion bash|zsh`, 'A script that makes the shell complete them.'],
])}
The configuration is that of --config, of $MYSQL2_FABRIC_CONFIG, ./fabric.cfg or /etc/mysql/fabric.cfg.
A password comes from there, from $MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD, from --password-file, or is asked for.
Exit status: 0 done, 1 failed, 2 not understood or help, 130 interrupted.
`;
}

function commandList(commands: readonly CliCommand[]): string {
  return columns(commands.map(command => [typed(command), command.doc]));
}

function commandHelp(command: CliCommand): string {
  const section = (title: string, rows: readonly (readonly [string, string])[]) =>
    rows.length === 0 ? '' : `\n${title}:\n${columns(rows)}`;
  const args = positionals(command).map(({ name, doc }) => [name, doc] as const);
  const opts = options(command).map(param => [optionForm(param), optionDoc(param)] as const);
  return `Usage:  ${usage(command)}\n\n${command.doc}\n${section('Arguments', args)}${section('Options', opts)}`;
}

/** `--timeout=FLOAT`, `--update_only` */
export function optionForm({ name, type }: Param): string {
  return type === 'bool' ? `--${name}` : `--${name}=${type === 'any' ? 'VALUE' : type.toUpperCase()}`;
}

/** Says what giving it does: a flag turns its default round. */
export function optionDoc({ type, default: fallback, doc }: Param): string {
  if (type === 'bool') return fallback ? `Turns this off: ${doc}` : doc;
  return fallback === undefined || fallback === null || fallback === '' ? doc : `${doc} Default: ${fallback}.`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}
