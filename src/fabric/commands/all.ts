import type { Command } from './define.js';
import { dumpCommands } from './dump.js';
import { eventCommands } from './event.js';
import { groupCommands } from './group.js';
import { manageCommands } from './manage.js';
import { roleCommands } from './role.js';
import { serverCommands } from './server.js';
import { statisticsCommands } from './statistics.js';
import { threatCommands } from './threat.js';
import { userCommands } from './user.js';

const declared: readonly Command[] = [
  ...manageCommands,
  ...groupCommands,
  ...serverCommands,
  ...threatCommands,
  ...dumpCommands,
  ...eventCommands,
  ...statisticsCommands,
  ...userCommands,
  ...roleCommands,
];

/** Every command there is, by name. A new one is one object in the file of its group. */
export const commands: ReadonlyMap<string, Command> = new Map(declared.map(command => [command.name, command]));
