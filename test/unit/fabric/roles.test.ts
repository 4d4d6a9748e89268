import { describe, expect, it } from 'vitest';
import { commands } from '../../../src/fabric/commands/all.js';
import { mayCall, ROLES } from '../../../src/fabric/roles.js';

/** Who may call what, besides the superadmin. A new command gets its line here. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  'manage.ping': ['monitor'],
  'group.lookup_groups': ['monitor'],
  'group.lookup_servers': ['monitor'],
  'group.health': ['monitor'],
  'group.why': ['monitor'],
  'group.create': [],
  'group.description': [],
  'group.destroy': [],
  'group.activate': [],
  'group.deactivate': [],
  'group.add': [],
  'group.remove': [],
  'group.promote': [],
  'group.demote': [],
  // It makes the node log in at any address that the caller names.
  'server.lookup_uuid': [],
  'server.set_status': [],
  'server.set_mode': [],
  'server.set_weight': [],
  'threat.report_error': ['connector'],
  'threat.report_failure': ['connector'],
  'dump.servers': ['connector', 'monitor'],
  'dump.fabric_nodes': ['connector', 'monitor'],
  'dump.shard_maps': ['connector', 'monitor'],
  'dump.shard_tables': ['connector', 'monitor'],
  'dump.shard_index': ['connector', 'monitor'],
  'dump.sharding_information': ['connector', 'monitor'],
  'manage.stop': [],
  'manage.logging_level': [],
  'manage.help': ['monitor'],
  'event.trigger': [],
  'event.wait_for_procedures': ['monitor'],
  'event.under_way': ['monitor'],
  'event.log': ['monitor'],
  'statistics.node': ['monitor'],
  'statistics.group': ['monitor'],
  'statistics.procedure': ['monitor'],
  'user.add': ['useradmin'],
  'user.delete': ['useradmin'],
  'user.password': ['useradmin'],
  'user.roles': ['useradmin'],
  'user.list': ['useradmin', 'monitor'],
  'role.list': ['useradmin', 'monitor'],
};

const caller = (...roles: string[]) => ({ user: 'u', roles });

describe('a role', () => {
  it('permits what the table says', () => {
    const table = [...commands.values()].map(command => [
      command.name,
      ROLES.map(({ name }) => name).filter(name => name !== 'superadmin' && mayCall(caller(name), command)),
    ]);
    expect(Object.fromEntries(table)).toEqual(TABLE);
  });

  it('superadmin permits everything, none and an unknown one nothing', () => {
    for (const command of commands.values()) {
      expect(mayCall(caller('superadmin'), command), command.name).toBe(true);
      expect(mayCall(caller(), command), command.name).toBe(false);
      expect(mayCall(caller('superadmins', 'core'), command), command.name).toBe(false);
    }
  });

  it('permits whole groups and commands only', () => {
    for (const name of ['dumps.servers', 'dum.p', 'threat_x.y']) {
      expect(mayCall(caller('connector'), { name, acts: false })).toBe(false);
    }
  });

  it('has the number that it had in the original', () => {
    expect(ROLES.slice(0, 3).map(({ id, name }) => [id, name])).toEqual([
      [1, 'superadmin'],
      [2, 'useradmin'],
      [3, 'connector'],
    ]);
  });
});
