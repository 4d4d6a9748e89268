import { COMMON_OPTIONS } from '../src/cli/arguments.js';
import { asOption, type CliCommand, commandsOf, groups, typed } from '../src/cli/catalogue.js';
import { optionDoc, optionForm, TOOL, usage } from '../src/cli/help.js';
import type { Param } from '../src/fabric/commands/bind.js';

/** docs/commands.md, from the commands themselves. */

export function commandsManual(): string {
  return `${HEAD}\n${commonOptions()}${groups.map(groupSection).join('')}`;
}

const HEAD = `# Commands

<!-- Written by \`npm run docs\` from src/fabric/commands; a test fails when it is not up to date. -->

\`\`\`sh
${TOOL} [--config FILE] [--param SECTION.KEY=VALUE]... <group> <command> [argument]... [--option=value]...
\`\`\`

The same commands are XML-RPC methods (\`group.add\`), procedures of the MySQL protocol (\`CALL group.add('shop', 'db1:3306')\`), and names for
\`fabric.call('group.add', 'shop', 'db1:3306')\`; there the arguments are those of the column *in order*, and what has a default may be left out at the end.

On the command line a parameter without a default is a word, one with a default an option \`--name=value\`. One that is true or false is a flag, which turns
its default round: \`--update_only\` is true, \`--synchronous\` false. A server is named by its uuid or as \`host:port\`.
A command may be one word, too, \`group.add\`.

A command that changes something is a procedure: it answers when everything is done, with the procedure's uuid and its steps, or with \`--synchronous\` at
once, with the uuid alone. It exits with 0 when it is done, 1 when it failed, 2 for a command line that was not understood or for help, and 130 when it was
interrupted; what to do next is on stderr. An interruption does not end what the node has begun: \`event under_way\` shows it.
`;

/** Every command has these. */
function commonOptions(): string {
  const rows = COMMON_OPTIONS.map(({ name, value, doc }) => [`\`--${name}${value ? `=${value}` : ''}\``, doc]);
  return `Options of every command:\n\n${table(['option', 'meaning'], rows)}`;
}

function groupSection(group: string): string {
  return `\n## ${group}\n${commandsOf(group).map(commandSection).join('')}`;
}

function commandSection(command: CliCommand): string {
  const rows = command.params.map(asOption).map(param => [form(param), param.type, fallback(param), optionDoc(param)]);
  const inOrder = rows.length === 0 ? '' : `\n${table(['in order', 'type', 'default', 'meaning'], rows)}`;
  return `\n### ${typed(command)}\n\n${command.doc}\n\n\`\`\`\n${TOOL} ${usage(command).trimEnd()}\n\`\`\`\n${inOrder}${answer(command)}`;
}

function form(param: Param): string {
  return `\`${param.default === undefined ? param.name : optionForm(param)}\``;
}

function fallback({ default: value }: Param): string {
  if (value === undefined) return 'must be given';
  return value === null || value === '' ? 'none' : `\`${value}\``;
}

function answer({ sets }: CliCommand): string {
  if (sets === null) return '\nIt runs here: no node is called.\n';
  if (sets.length === 0) return '\nAnswers with nothing but success.\n';
  const lists = sets.map(columns => columns.map(({ name }) => `\`${name}\``).join(', '));
  return `\nAnswers with ${lists.join('; then ')}.\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |\n`).join('');
}
