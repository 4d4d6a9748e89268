import type { EndpointOptions, FabricOptions } from './option-table.js';
import { hashPassword, PROTOCOLS, type Protocol } from './passwords.js';
import { type Caller, SUPERADMIN } from './roles.js';
import type { Store, UserRecord } from './store/store.js';

/** Who may log in: the account of the configuration, which may do everything, and beside it the users of the store. */

export interface Accounts {
  /** The hash of a user's password; undefined: there is no such user, or it has none. */
  passwordHash(name: string): string | undefined;
  /** With the roles that it has now; of a user that is gone none. */
  caller(name: string): Caller;
}

/** Whoever has the node's own object, or comes where nobody is asked who they are. */
export const ANYBODY: Caller = { user: '', roles: [SUPERADMIN] };

export function createAccounts(protocol: Protocol, options: EndpointOptions, store: Pick<Store, 'users'>): Accounts {
  const configured = configuredUser(protocol, options);
  const find = (name: string) => {
    if (configured?.name === name) return configured;
    return store.users.find(user => user.name === name && user.protocol === protocol);
  };
  return {
    passwordHash: name => find(name)?.password ?? undefined,
    caller: name => (options.disableAuthentication ? ANYBODY : { user: name, roles: find(name)?.roles ?? [] }),
  };
}

/** Without a password the configuration only says as whom commands are called. */
function configuredUser(protocol: Protocol, { user, password }: EndpointOptions): UserRecord | undefined {
  if (password === '') return undefined;
  return { name: user, protocol, password: hashPassword(protocol, user, password), roles: [SUPERADMIN] };
}

export function configuredUsers({ protocol: endpoints }: FabricOptions): readonly UserRecord[] {
  return PROTOCOLS.flatMap(protocol => {
    const options = endpoints[protocol];
    return (options && configuredUser(protocol, options)) ?? [];
  });
}

/**
 * The users that a new state store begins with: for each protocol one who may do everything, with the name and the password of the configuration.
 * @param ask for the password where the configuration has none.
 */
export async function missingAdmins(
  { protocol: { xmlrpc, mysql } }: FabricOptions,
  users: readonly UserRecord[],
  ask: (name: string) => Promise<string>,
): Promise<readonly UserRecord[]> {
  const missing: UserRecord[] = [];
  let asked = xmlrpc.password;
  for (const protocol of PROTOCOLS) {
    const { user: name, password, disableAuthentication } = protocol === 'mysql' && mysql ? mysql : xmlrpc;
    if (users.some(user => user.name === name && user.protocol === protocol)) continue;
    if (disableAuthentication && password === '') continue;
    if (password === '') asked ||= await ask(name);
    missing.push({ name, protocol, password: hashPassword(protocol, name, password || asked), roles: [SUPERADMIN] });
  }
  return missing;
}

/** Whether somebody can still call every command from outside. */
export function hasSuperadmin({ protocol: endpoints }: FabricOptions, users: readonly UserRecord[]): boolean {
  return PROTOCOLS.some(protocol => {
    const options = endpoints[protocol];
    if (!options) return false;
    if (options.disableAuthentication || options.password !== '') return true;
    return users.some(user => user.protocol === protocol && user.password !== null && user.roles.includes(SUPERADMIN));
  });
}
