import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ha1 } from '../../../src/wire/digest.js';
import { createFakeFabric, type FakeFabric } from '../../fakes/fake-fabric.js';

let node: FakeFabric;
beforeEach(async () => {
  node = await createFakeFabric();
});
afterEach(() => node.fabric.stop());

const call = async (name: string, ...args: unknown[]) => (await node.fabric.call(name, ...args)).rows;
const refusal = (name: string, ...args: unknown[]) =>
  node.fabric.call(name, ...args).then(
    () => '',
    ({ message }: Error) => message,
  );
const rolesOf = async () =>
  (await call('user.list')).map(({ username, protocol, roles }) => [username, protocol, roles]);

describe('users', () => {
  it('are added for both protocols or one, changed, and removed', async () => {
    expect(await call('user.add', 'app', 'xmlrpc', 'connector', 'pw')).toEqual([
      { username: 'app', protocol: 'xmlrpc', roles: 'connector', has_password: true, configured: false },
    ]);
    await call('user.add', 'op', null, ['4', 'Connector']);
    expect(await rolesOf()).toEqual([
      ['admin', 'xmlrpc', 'superadmin'],
      ['app', 'xmlrpc', 'connector'],
      ['op', 'mysql', 'connector, monitor'],
      ['op', 'xmlrpc', 'connector, monitor'],
    ]);
    expect((await call('user.password', 'op', 'protocol.mysql', 'x')).map(row => row.has_password)).toEqual([true]);
    expect((await call('user.roles', 'op')).map(({ roles, has_password: has }) => [roles, has])).toEqual([
      ['connector, monitor', true],
      ['connector, monitor', false],
    ]);
    await call('user.roles', 'op', null, '0');
    await call('user.delete', 'app');
    expect(await rolesOf()).toEqual([
      ['admin', 'xmlrpc', 'superadmin'],
      ['op', 'mysql', ''],
      ['op', 'xmlrpc', ''],
    ]);
  });

  it('are kept with nothing of their passwords but what the protocols need', async () => {
    await call('user.add', 'app', null, null, 'secret');
    expect(node.store.users.map(({ protocol, password }) => [protocol, password])).toEqual([
      // SHA1(SHA1('secret')), as MySQL's mysql.user has it.
      ['mysql', '14E65567ABDB5135D0CFD9A70B3032C179A49EE7'],
      ['xmlrpc', ha1('app', 'secret')],
    ]);
    expect(JSON.stringify(await call('user.list'))).not.toMatch(/secret|14E6/i);
  });

  it.each([
    [['user.add', 'a b'], 'User name (a b) must be 1 to 64 letters, digits or characters of _@.-'],
    [['user.add', ''], 'User name () must be 1 to 64 letters, digits or characters of _@.-'],
    [
      ['user.add', 'x'.repeat(65)],
      `User name (${'x'.repeat(65)}) must be 1 to 64 letters, digits or characters of _@.-`,
    ],
    [['user.add', 'app'], 'User (app) already exists for protocol mysql.'],
    [['user.add', 'app', 'http'], 'Protocol (http) is not supported. Possible values are xmlrpc, mysql.'],
    [
      ['user.add', 'new', null, 'connector, root'],
      'Role (root) does not exist. Possible values are 0 for none, 1 or superadmin, 2 or useradmin, 3 or connector, 4 or monitor.',
    ],
    [['user.add', 'new', null, null, ''], 'A password must be 1 to 256 characters long.'],
    [['user.add', 'new', null, null, 'x'.repeat(257)], 'A password must be 1 to 256 characters long.'],
    [
      ['user.add', 'admin', 'xmlrpc'],
      'User (admin) is the account of the configuration: [protocol.xmlrpc] has its name and password.',
    ],
    [['user.password', 'admin', null, 'x'], 'User (admin) does not exist.'],
    [['user.password', 'app'], 'The new password must be given.'],
    [['user.password', 'nobody', 'mysql', 'x'], 'User (nobody) does not exist for protocol mysql.'],
    [['user.roles', 'nobody'], 'User (nobody) does not exist.'],
    [['user.delete', 'nobody'], 'User (nobody) does not exist.'],
  ])('are refused in a sentence: %j', async ([name, ...args], message) => {
    await call('user.add', 'app');
    const before = node.store.users;
    expect(await refusal(String(name), ...args)).toBe(message);
    expect(node.store.users).toEqual(before);
  });

  it('have roles, which have the numbers of the original', async () => {
    expect((await call('role.list')).map(({ role_id: id, name, permissions }) => [id, name, permissions])).toEqual([
      [1, 'superadmin', 'core'],
      [2, 'useradmin', 'core.user, core.role'],
      [3, 'connector', 'core.dump, core.threat'],
      [4, 'monitor', 'core (read)'],
    ]);
  });
});
