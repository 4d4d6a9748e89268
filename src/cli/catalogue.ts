import { commands } from '../fabric/commands/all.js';
import type { Param } from '../fabric/commands/bind.js';
import type { Command } from '../fabric/commands/define.js';

/** What can be called: the node's commands and those that run here, all from the same kind of object. */

export interface CliCommand extends Pick<Command, 'name' | 'doc' | 'params' | 'kind' | 'acts'> {
  /** The columns of its answer; null: it runs in this process. */
  readonly sets: Command['sets'] | null;
}

const HERE = { sets: null, kind: 'read', acts: true } as const;

/** What runs in this process; `main.ts` knows how. */
const LOCAL_COMMANDS = [
  {
    name: 'manage.start',
    doc: 'Run a Fabric node, in the foreground until SIGTERM, SIGINT or `manage stop`.',
    params: [
      {
        name: 'daemonize',
        type: 'bool',
        default: false,
        doc: 'Run it in the background: answer when it has started. [logging] url must be a file.',
      },
    ],
    ...HERE,
  },
  {
    name: 'manage.setup',
    doc: 'Make the state store that [storage] names, or bring its tables up to date, with a user who may do everything.',
    params: [],
    ...HERE,
  },
  {
    name: 'manage.teardown',
    doc: 'Remove the tables of the state store with all groups that they hold. MySQL servers stay as they are.',
    params: [],
    ...HERE,
  },
] as const satisfies readonly CliCommand[];

export type LocalCommand = (typeof LOCAL_COMMANDS)[number]['name'];

export const catalogue: ReadonlyMap<string, CliCommand> = new Map(
  [...LOCAL_COMMANDS, ...commands.values()].map(command => [command.name, command]),
);

export const groups: readonly string[] = [...new Set([...catalogue.keys()].map(name => groupOf(name)))];

function groupOf(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

export function commandsOf(group: string): readonly CliCommand[] {
  return [...catalogue.values()].filter(({ name }) => groupOf(name) === group);
}

/** As it is typed: `group add`. */
export function typed({ name }: Pick<CliCommand, 'name'>): string {
  return name.replace('.', ' ');
}

/** Parameters without a default are words of the command line, the others options. */
export function positionals({ params }: CliCommand): readonly Param[] {
  return params.filter(param => param.default === undefined);
}

/** A password is the content of a file. */
export function options({ params }: Pick<CliCommand, 'params'>): readonly Param[] {
  return params.filter(param => param.default !== undefined).map(asOption);
}

export function asOption(param: Param): Param {
  if (!param.secret) return param;
  return { ...param, name: secretOption(param), doc: `${param.doc} From a file, or - for stdin; else asked for.` };
}

export function secretOption({ name }: Param): string {
  return `${name}_file`;
}
