/**
 * Roles and what they let their users call. They are the program's and not in the store: no command changes them, and a program with new commands
 * must not find old permissions there. Pure.
 */

/** Who calls: a user with the roles that it has now. */
export interface Caller {
  readonly user: string;
  readonly roles: readonly string[];
}

export const SUPERADMIN = 'superadmin';

/** Of a command, what a permission goes by. */
interface Callable {
  /** `group.command` */
  readonly name: string;
  /** false: it only tells what the node knows. */
  readonly acts: boolean;
}

interface Role {
  readonly id: number;
  readonly name: string;
  readonly doc: string;
  /** Each is `core`, `core.<group>` or `core.<group>.<command>`; with ` (read)` it covers what does not act. */
  readonly permissions: readonly string[];
}

/** The first three have the numbers that they had in the original. */
export const ROLES: readonly Role[] = [
  { id: 1, name: SUPERADMIN, doc: 'May do everything.', permissions: ['core'] },
  { id: 2, name: 'useradmin', doc: 'May manage users.', permissions: ['core.user', 'core.role'] },
  { id: 3, name: 'connector', doc: 'May do what connectors need.', permissions: ['core.dump', 'core.threat'] },
  { id: 4, name: 'monitor', doc: 'May look at everything and change nothing.', permissions: ['core (read)'] },
];

export function mayCall({ roles }: Caller, command: Callable): boolean {
  return ROLES.some(({ name, permissions }) => roles.includes(name) && permissions.some(each => covers(each, command)));
}

function covers(permission: string, { name, acts }: Callable): boolean {
  const [scope = '', reading] = permission.split(' ');
  return `core.${name}.`.startsWith(`${scope}.`) && !(reading && acts);
}
