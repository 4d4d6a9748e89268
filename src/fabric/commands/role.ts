import { ROLES } from '../roles.js';
import { column, read } from './define.js';

/** What users may be allowed. */
export const roleCommands = [
  read({
    name: 'role.list',
    doc: 'The roles that a user can have, and what they permit: core (everything), a group of commands, or a command.',
    params: [],
    sets: [
      [
        column('role_id', 'int'),
        column('name', 'string'),
        column('description', 'string'),
        column('permissions', 'string'),
      ],
    ],
    run: async () => [ROLES.map(({ id, name, doc, permissions }) => [id, name, doc, permissions.join(', ')])],
  }),
] as const;
