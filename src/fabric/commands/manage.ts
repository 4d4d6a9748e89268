import { read } from './define.js';

export const manageCommands = [
  read({
    name: 'manage.ping',
    doc: 'Check whether the node answers.',
    params: [],
    sets: [],
    run: async () => [],
  }),
] as const;
