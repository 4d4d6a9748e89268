import { configuredUsers, hasSuperadmin } from './accounts.js';
import { CommandError } from './errors.js';
import type { FabricOptions } from './option-table.js';
import { PROTOCOLS, type Protocol } from './passwords.js';
import { type Caller, ROLES, SUPERADMIN } from './roles.js';
import type { UserRecord } from './store/store.js';

/** The rules for changing users: what a name, a protocol and roles may be, and who may change whom. Pure. */

type Users = readonly UserRecord[];

export function validName(name: string): string {
  if (/^[a-zA-Z0-9_@.-]{1,64}$/.test(name)) return name;
  return refuse(`User name (${name}) must be 1 to 64 letters, digits or characters of _@.-`);
}

/** All of them when none is named. */
export function protocolsNamed(given: string | null): readonly Protocol[] {
  if (given === null) return PROTOCOLS;
  const protocol = PROTOCOLS.find(each => each === given.toLowerCase().replace(/^protocol\./, ''));
  return [protocol ?? refuse(`Protocol (${given}) is not supported. Possible values are ${PROTOCOLS.join(', ')}.`)];
}

/** By name or number; 0 is none. */
export function rolesNamed(given: readonly string[]): readonly string[] {
  const named = given.filter(word => word !== '0').map(word => roleNamed(word.toLowerCase()));
  return ROLES.map(({ name }) => name).filter(name => named.includes(name));
}

function roleNamed(word: string): string {
  const role = ROLES.find(({ id, name }) => name === word || String(id) === word);
  const known = ROLES.map(({ id, name }) => `${id} or ${name}`).join(', ');
  return role?.name ?? refuse(`Role (${word}) does not exist. Possible values are 0 for none, ${known}.`);
}

const PASSWORD_LENGTH = 256;

export function validPassword(password: string): string {
  if (password.length >= 1 && password.length <= PASSWORD_LENGTH) return password;
  return refuse(`A password must be 1 to ${PASSWORD_LENGTH} characters long.`);
}

/** Those of this name and these protocols, at least one. */
export function usersNamed(users: Users, name: string, protocols: readonly Protocol[]): Users {
  const found = users.filter(user => user.name === name && protocols.includes(user.protocol));
  return found.length > 0 ? found : refuse(`User (${name}) does not exist${onlyOne(protocols)}.`);
}

const onlyOne = (protocols: readonly Protocol[]): string =>
  protocols.length === 1 ? ` for protocol ${protocols[0]}` : '';

/** Checks that this caller may put `after` in the place of `before`. */
export function checkChange(caller: Caller, options: FabricOptions, before: Users, after: Users): void {
  const changed = [...before.filter(user => !after.includes(user)), ...after.filter(user => !before.includes(user))];
  for (const { name, protocol, roles } of changed) {
    if (configuredUsers(options).some(user => user.name === name && user.protocol === protocol)) {
      refuse(`User (${name}) is the account of the configuration: [protocol.${protocol}] has its name and password.`);
    }
    if (roles.includes(SUPERADMIN) && !caller.roles.includes(SUPERADMIN)) {
      throw new CommandError('PermissionError', `Only a ${SUPERADMIN} may make or change a ${SUPERADMIN}.`);
    }
  }
}

/** Nobody locks the door from outside and throws the key away. */
export function checkSomebodyIsLeft(options: FabricOptions, before: Users, after: Users): void {
  if (!hasSuperadmin(options, before) || hasSuperadmin(options, after)) return;
  refuse(`There would be no user with a password and the role ${SUPERADMIN}.`);
}

export function refuse(message: string): never {
  throw new CommandError('UserError', message);
}
