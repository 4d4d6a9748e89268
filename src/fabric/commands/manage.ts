import { CommandError } from '../errors.js';
import { LOG_LEVELS, type LogLevel } from '../log.js';
import type { Param } from './bind.js';
import { type Command, column, read } from './define.js';

/** The log has one level; this is what the original calls all of itself. */
const MODULE = 'mysql.fabric';

function usage(params: readonly Param[]): string {
  return params
    .map(({ name, default: value }) => (value === undefined ? name : `[${name}=${value === null ? 'NONE' : value}]`))
    .join(' ');
}

export const manageCommands: readonly Command[] = [
  read({
    name: 'manage.ping',
    doc: 'Check whether the node answers.',
    params: [],
    sets: [],
    run: async () => [],
  }),

  read({
    name: 'manage.stop',
    doc: 'Stop the node: it answers what was asked, and ends its procedures or leaves them for the next start to go on with.',
    params: [],
    sets: [],
    acts: true,
    run: async (_args, { shutDown, log }) => {
      log.info('Stopping, because of manage.stop.');
      shutDown();
      return [];
    },
  }),

  read({
    name: 'manage.logging_level',
    doc: 'Change how much the node logs, until it stops.',
    params: [
      { name: 'module', doc: `Always ${MODULE}: all of the node.`, type: 'string' },
      { name: 'level', doc: `${LOG_LEVELS.join(', ')}.`, type: 'string' },
    ],
    sets: [],
    acts: true,
    run: async ({ module, level: given }, { log }) => {
      const refuse = (sentence: string) => new CommandError('CommandError', sentence);
      if (module !== MODULE) throw refuse(`There is no module (${module}). Possible values are ${MODULE}.`);
      const level = LOG_LEVELS.find(name => name === given.toUpperCase()) as LogLevel | undefined;
      if (!level) throw refuse(`There is no level (${given}). Possible values are ${LOG_LEVELS.join(', ')}.`);
      if (!log.setLevel)
        throw refuse('The log is that of the program which embeds this node: its level is changed there.');
      log.setLevel(level);
      return [];
    },
  }),

  read({
    name: 'manage.help',
    doc: 'The commands of the node, those of a group, or one.',
    params: [
      { name: 'group', doc: 'Only the commands of this group.', type: 'string', default: null },
      { name: 'command', doc: 'Only this command of it.', type: 'string', default: null },
    ],
    sets: [[column('command', 'string'), column('arguments', 'string'), column('description', 'string')]],
    run: async ({ group, command }, { commands }) => {
      const wanted = [...commands.values()].filter(({ name }) => {
        const [its, own] = name.split('.');
        return (group === null || its === group) && (command === null || own === command);
      });
      if (wanted.length === 0)
        throw new CommandError('CommandError', `There is no command (${[group, command].filter(Boolean).join('.')}).`);
      return [wanted.map(({ name, params, doc }) => [name, usage(params), doc])];
    },
  }),
];
