import { MODE_NAMES, STATUS_NAMES } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { formatAddress, parseAddress, parseGroupId, parseMode, parseStatus, phrases } from '../model.js';
import { demote } from '../procedures/demote.js';
import { changeGroup, requireGroup } from '../procedures/group-record.js';
import { addServer, removeServer } from '../procedures/membership.js';
import { promote } from '../procedures/promote.js';
import type { StepContext } from '../procedures/run.js';
import { type GroupRecord, StoreConflict } from '../store/store.js';
import { column, procedure, read } from './define.js';
import { HEALTH_COLUMNS, healthRow, ISSUE_COLUMNS, issuesOf } from './health.js';
import { inspectGroup } from './inspection.js';
import { oneStep, patience, serverOf, valid } from './records.js';
import { explain, WHY_COLUMNS } from './why.js';

const GROUP_ID = { name: 'group_id', doc: 'Name of the group.', type: 'string' } as const;
const UPDATE_ONLY = {
  name: 'update_only',
  doc: 'Change the store alone, not the servers.',
  type: 'bool',
  default: false,
} as const;

const TIMEOUT = {
  name: 'timeout',
  doc: 'Seconds to wait for a server, at most 60; [servers] unreachable_timeout if not given.',
  type: 'float',
  default: null,
} as const;

/** Procedures know a server by its uuid; what names none of the group's is left as it is, for the procedure to refuse. */
const uuidIn = (group: GroupRecord, given: string) => serverOf(group, given)?.uuid ?? given;

const lookups = [
  read({
    name: 'group.lookup_groups',
    doc: 'All groups, or one.',
    params: [{ ...GROUP_ID, default: null }],
    sets: [
      [
        column('group_id', 'string'),
        column('description', 'string'),
        column('failure_detector', 'bool'),
        column('master_uuid', 'string'),
      ],
    ],
    cacheable: true,
    run: async ({ group_id: id }, context) => {
      const groups = id === null ? await context.store.groups() : [await requireGroup(context, id)];
      return [groups.map(group => [group.id, group.description, group.active, group.primary])];
    },
  }),

  read({
    name: 'group.lookup_servers',
    doc: 'The servers of a group.',
    params: [
      GROUP_ID,
      { name: 'server_id', doc: 'Only the server with this uuid or host:port.', type: 'string', default: null },
      { name: 'status', doc: 'Only servers with this status (name or index).', type: 'any', default: null },
      { name: 'mode', doc: 'Only servers with this mode (name or index).', type: 'any', default: null },
    ],
    sets: [
      [
        column('server_uuid', 'string'),
        column('address', 'string'),
        column('status', 'string'),
        column('mode', 'string'),
        column('weight', 'double'),
      ],
    ],
    cacheable: true,
    run: async ({ group_id: id, server_id: serverId, ...filters }, context) => {
      const group = await requireGroup(context, id);
      const status = filters.status === null ? null : valid(parseStatus(filters.status), 'ServerError');
      const mode = filters.mode === null ? null : valid(parseMode(filters.mode), 'ServerError');
      const named = serverId === null ? undefined : serverOf(group, serverId);
      if (serverId !== null && !named) throw new CommandError('GroupError', phrases.serverNotInGroup(serverId, id));
      const rows = (named ? [named] : group.servers)
        .filter(server => (status === null || server.status === status) && (mode === null || server.mode === mode))
        .map(server => [
          server.uuid,
          formatAddress(server),
          STATUS_NAMES[server.status],
          MODE_NAMES[server.mode],
          server.weight,
        ]);
      return [rows];
    },
  }),

  read({
    name: 'group.health',
    doc: 'Whether the servers of a group answer and replicate, and what is wrong with the group.',
    params: [GROUP_ID, TIMEOUT],
    sets: [HEALTH_COLUMNS, ISSUE_COLUMNS],
    run: async ({ group_id: id, timeout }, context) => {
      const group = await requireGroup(context, id);
      const findings = await inspectGroup(group, patience(timeout, 'GroupError', context) * 1_000, context);
      return [findings.map(healthRow), findings.flatMap(each => issuesOf(each, group.primary)).map(issue => [issue])];
    },
  }),

  read({
    name: 'group.why',
    doc: 'In sentences: how the node sees a group now, what it last decided, and why no failover happens if one is wanted.',
    params: [GROUP_ID, TIMEOUT],
    sets: [WHY_COLUMNS],
    run: async ({ group_id: id, timeout }, context) => {
      const group = await requireGroup(context, id);
      return [await explain(group, patience(timeout, 'GroupError', context) * 1_000, context)];
    },
  }),
] as const;

/** An operator's change of a group as a whole goes into the trail like the node's own decisions. */
function told(group: string, what: string, context: StepContext): void {
  decided(context, { group, event: 'group', sentence: `group ${group} ${what}` });
}

/** The same for every store, each of which has a bound of its own or none. */
const MAX_DESCRIPTION = 256;

function checkDescription(description: string | null): void {
  const length = [...(description ?? '')].length;
  if (length <= MAX_DESCRIPTION) return;
  throw new CommandError('GroupError', `description has ${length} characters; ${MAX_DESCRIPTION} are the most.`);
}

const described = (description: string) => `described as '${description}'`;

/** @returns false: it was so already. */
async function setActive(id: string, active: boolean, context: StepContext): Promise<boolean> {
  let changed = false;
  await changeGroup(context, id, group => {
    changed = group.active !== active;
    return changed ? { ...group, active } : group;
  });
  return changed;
}

const definitions = [
  procedure({
    name: 'group.create',
    doc: 'Create a group.',
    params: [GROUP_ID, { name: 'description', doc: 'What the group is for.', type: 'string', default: null }],
    plan: async ({ group_id: given, description }) => {
      const id = valid(parseGroupId(given), 'GroupError');
      checkDescription(description);
      return oneStep('group.create', id, 'create the group', async (_data, context) => {
        const empty = { active: false, primary: null, primarySince: null, baseline: null, servers: [] };
        try {
          await context.store.createGroup({ id, description, ...empty });
        } catch (cause) {
          if (!(cause instanceof StoreConflict)) throw cause;
          throw new CommandError('GroupError', phrases.groupExists(id), { cause });
        }
        told(id, `was created${description === null ? '' : `, ${described(description)}`}`, context);
      });
    },
  }),

  procedure({
    name: 'group.description',
    doc: 'Change the description of a group, or clear it.',
    params: [GROUP_ID, { name: 'description', doc: 'The new text; none clears it.', type: 'string', default: null }],
    plan: async ({ group_id: id, description }, { store }) => {
      await requireGroup({ store }, id);
      checkDescription(description);
      return oneStep('group.description', id, 'change the description', async (_data, context) => {
        let old: string | null = null;
        await changeGroup(context, id, group => {
          old = group.description;
          return old === description ? group : { ...group, description };
        });
        if (old === description) return;
        const now = description === null ? 'is not described any more' : `is ${described(description)}`;
        told(id, old === null ? now : `${now}, and was as '${old}'`, context);
      });
    },
  }),

  procedure({
    name: 'group.destroy',
    doc: 'Remove a group that has no servers.',
    params: [GROUP_ID],
    plan: async ({ group_id: id }, { store, detector }) => {
      await requireGroup({ store }, id);
      return oneStep('group.destroy', id, 'remove the group', async (_data, context) => {
        const group = await requireGroup(context, id);
        if (group.servers.length > 0) throw new CommandError('GroupError', phrases.groupHasServers(id));
        await context.store.deleteGroup(id, group.version);
        detector.unwatch(id);
        told(id, 'was removed', context);
      });
    },
  }),

  procedure({
    name: 'group.activate',
    doc: 'Start the failure detector of a group.',
    params: [GROUP_ID],
    plan: async ({ group_id: id }, { store, detector }) => {
      await requireGroup({ store }, id);
      return oneStep('group.activate', id, 'start the failure detector', async (_data, context) => {
        const changed = await setActive(id, true, context);
        detector.watch(id);
        if (changed) told(id, 'is activated: its servers are watched', context);
      });
    },
  }),

  procedure({
    name: 'group.deactivate',
    doc: 'Stop the failure detector of a group.',
    params: [GROUP_ID],
    plan: async ({ group_id: id }, { store, detector }) => {
      await requireGroup({ store }, id);
      return oneStep('group.deactivate', id, 'stop the failure detector', async (_data, context) => {
        const changed = await setActive(id, false, context);
        detector.unwatch(id);
        if (changed) told(id, 'is deactivated: its servers are not watched any more', context);
      });
    },
  }),
] as const;

const membership = [
  procedure({
    name: 'group.add',
    doc: 'Add a server to a group; it becomes a SECONDARY and follows the primary, if there is one.',
    params: [
      GROUP_ID,
      { name: 'address', doc: 'host:port of the server; port 3306 if not given.', type: 'string' },
      {
        name: 'timeout',
        doc: 'Seconds to wait for it, at most 60; the configured time if not given.',
        type: 'float',
        default: null,
      },
      UPDATE_ONLY,
    ],
    plan: async ({ group_id: id, address, timeout, update_only: updateOnly }, context) => {
      await requireGroup(context, id);
      return addServer({
        group: id,
        timeout: patience(timeout, 'ServerError', context),
        address: valid(parseAddress(address), 'ServerError'),
        updateOnly,
      });
    },
  }),

  procedure({
    name: 'group.remove',
    doc: 'Remove a server from a group; never the primary.',
    params: [GROUP_ID, { name: 'server_id', doc: 'uuid or host:port of the server.', type: 'string' }],
    plan: async ({ group_id: id, server_id: given }, context) => {
      const group = await requireGroup(context, id);
      return removeServer({ group: id, server: uuidIn(group, given) });
    },
  }),

  procedure({
    name: 'group.promote',
    doc: 'Make a server the primary: a switchover while the old one lives, a failover when it is FAULTY or there is none.',
    params: [
      GROUP_ID,
      { name: 'slave_id', doc: 'The server to promote; if not given, the best one.', type: 'string', default: null },
      UPDATE_ONLY,
    ],
    plan: async ({ group_id: id, slave_id: given, update_only: updateOnly }, context) => {
      const group = await requireGroup(context, id);
      return promote({ group: id, candidate: given === null ? null : uuidIn(group, given), updateOnly });
    },
  }),

  procedure({
    name: 'group.demote',
    doc: 'Leave a group without a primary.',
    params: [GROUP_ID, UPDATE_ONLY],
    plan: async ({ group_id: id, update_only: updateOnly }, context) => {
      await requireGroup(context, id);
      return demote({ group: id, updateOnly });
    },
  }),
] as const;

export const groupCommands = [...lookups, ...definitions, ...membership] as const;
