import { configuredUsers } from '../accounts.js';
import { decided } from '../audit.js';
import { hashPassword, type Protocol } from '../passwords.js';
import type { Caller } from '../roles.js';
import type { UserRecord } from '../store/store.js';
import {
  checkChange,
  checkSomebodyIsLeft,
  protocolsNamed,
  refuse,
  rolesNamed,
  usersNamed,
  validName,
  validPassword,
} from '../user-changes.js';
import { askedBy, type CommandContext, column, read } from './define.js';

/** Who may call commands, beside the account of the configuration. A change counts from the next call on. */

const USERNAME = { name: 'username', doc: 'Its name: letters, digits and _@.-', type: 'string' } as const;
const PROTOCOL = {
  name: 'protocol',
  doc: 'xmlrpc or mysql; both if not given.',
  type: 'string',
  default: null,
} as const;
const ROLES = {
  name: 'roles',
  doc: 'Names or numbers of `role list`; 0 is none. May be repeated.',
  type: 'list',
  default: null,
} as const;
const PASSWORD = {
  name: 'new_password',
  doc: 'Its password.',
  type: 'string',
  default: null,
  secret: true,
} as const;

const USER = [
  column('username', 'string'),
  column('protocol', 'string'),
  column('roles', 'string'),
  column('has_password', 'bool'),
  column('configured', 'bool'),
];

function rows(users: readonly UserRecord[], configured = false) {
  return users.map(({ name, protocol, password, roles }) => [
    name,
    protocol,
    roles.join(', '),
    password !== null,
    configured,
  ]);
}

/** The users that are to take the place of some others. */
interface Change {
  readonly old: readonly UserRecord[];
  readonly new: readonly UserRecord[];
  /** true: even if nobody is left who may do everything. */
  readonly force?: boolean;
}

/** @returns the new ones. */
async function change(
  command: string,
  what: string,
  context: CommandContext,
  caller: Caller,
  plan: (users: readonly UserRecord[]) => Change,
): Promise<readonly UserRecord[]> {
  let made: readonly UserRecord[] = [];
  const { store, options } = context;
  await store.changeUsers(users => {
    const planned = plan(users);
    const after = [...users.filter(user => !planned.old.includes(user)), ...planned.new];
    checkChange(caller, options, users, after);
    if (!planned.force) checkSomebodyIsLeft(options, users, after);
    made = planned.new;
    return after;
  });
  decided(context, { group: '', event: 'user', by: askedBy(command, caller), sentence: what });
  return made;
}

function named(username: string, protocols: readonly Protocol[]): string {
  return `User (${username}) of ${protocols.join(' and ')}`;
}

const hashed = (name: string, protocol: Protocol, password: string | null): string | null =>
  password === null ? null : hashPassword(protocol, name, validPassword(password));

export const userCommands = [
  read({
    name: 'user.add',
    doc: 'Add a user who may log in and call what its roles permit; without a role, nothing.',
    params: [USERNAME, PROTOCOL, ROLES, { ...PASSWORD, doc: 'Its password; without one it cannot log in.' }],
    sets: [USER],
    acts: true,
    run: async (args, context, caller) => {
      const name = validName(args.username);
      const protocols = protocolsNamed(args.protocol);
      const roles = rolesNamed(args.roles ?? []);
      const added = protocols.map(protocol => ({
        ...{ name, protocol, roles },
        password: hashed(name, protocol, args.new_password),
      }));
      const what = `${named(name, protocols)} was added with ${roles.length > 0 ? `the roles ${roles}` : 'no role'}`;
      const made = await change('user.add', what, context, caller, users => {
        const taken = users.find(user => user.name === name && protocols.includes(user.protocol));
        if (taken) refuse(`User (${name}) already exists for protocol ${taken.protocol}.`);
        return { old: [], new: added };
      });
      return [rows(made)];
    },
  }),

  read({
    name: 'user.delete',
    doc: 'Remove a user.',
    params: [
      USERNAME,
      PROTOCOL,
      { name: 'force', doc: 'Even the last one who may do everything.', type: 'bool', default: false },
    ],
    sets: [],
    acts: true,
    run: async ({ username, protocol, force }, context, caller) => {
      const protocols = protocolsNamed(protocol);
      await change('user.delete', `${named(username, protocols)} was removed`, context, caller, users => ({
        old: usersNamed(users, username, protocols),
        new: [],
        force,
      }));
      return [];
    },
  }),

  read({
    name: 'user.password',
    doc: 'Give a user another password.',
    params: [USERNAME, PROTOCOL, PASSWORD],
    sets: [USER],
    acts: true,
    run: async ({ username, protocol, new_password: password }, context, caller) => {
      const protocols = protocolsNamed(protocol);
      const given = password ?? refuse('The new password must be given.');
      const what = `${named(username, protocols)} got another password`;
      const made = await change('user.password', what, context, caller, users => {
        const old = usersNamed(users, username, protocols);
        return { old, new: old.map(user => ({ ...user, password: hashed(username, user.protocol, given) })) };
      });
      return [rows(made)];
    },
  }),

  read({
    name: 'user.roles',
    doc: 'Give a user these roles and no others; without roles: show those that it has.',
    params: [USERNAME, PROTOCOL, ROLES],
    sets: [USER],
    acts: true,
    run: async ({ username, protocol, roles }, context, caller) => {
      const protocols = protocolsNamed(protocol);
      if (roles === null) return [rows(usersNamed(context.store.users, username, protocols))];
      const given = rolesNamed(roles);
      const what = `${named(username, protocols)} got ${given.length > 0 ? `the roles ${given}` : 'no role'}`;
      const made = await change('user.roles', what, context, caller, users => {
        const old = usersNamed(users, username, protocols);
        return { old, new: old.map(user => ({ ...user, roles: given })) };
      });
      return [rows(made)];
    },
  }),

  read({
    name: 'user.list',
    doc: 'The users and their roles. One that is configured stands in the configuration, and can be changed only there.',
    params: [],
    sets: [USER],
    run: async (_args, { store, options }) => {
      const configured = configuredUsers(options);
      const hidden = (user: UserRecord) =>
        configured.some(({ name, protocol }) => name === user.name && protocol === user.protocol);
      return [[...rows(configured, true), ...rows(store.users.filter(user => !hidden(user)))]];
    },
  }),
] as const;
