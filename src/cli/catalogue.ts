import { commands } from '../fabric/commands/all.js';
import type { Command, Param } from '../fabric/commands/define.js';

/** What can be called: the node's commands and those that run here, all from the same kind of object. */

export interface CliCommand extends Pick<Command, 'name' | 'doc' | 'params'> {
  /** The columns of its answer; null: it runs in this process. */
  readonly sets: Command['sets'] | null;
}

/** Runs a node in this process. */
const MANAGE_START: CliCommand = {
  name: 'manage.start',
  doc: 'Run a Fabric node in the foreground, until SIGTERM or SIGINT.',
  params: [],
  sets: null,
};

export const catalogue: ReadonlyMap<string, CliCommand> = new Map(
  [MANAGE_START, ...commands.values()].map(command => [command.name, command]),
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

export function options({ params }: CliCommand): readonly Param[] {
  return params.filter(param => param.default !== undefined);
}
