import { MODE_NAMES, STATUS_FAULTY, STATUS_NAMES } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError, ended } from '../errors.js';
import {
  formatAddress,
  modeMove,
  parseAddress,
  parseMode,
  parseStatus,
  parseWeight,
  phrases,
  statusMove,
} from '../model.js';
import { changeGroup, requireServer, withServer } from '../procedures/group-record.js';
import { faultyToSpare } from '../procedures/membership.js';
import type { ServerRecord } from '../store/store.js';
import { type CommandContext, column, procedure, read } from './define.js';
import { existingServer, oneStep, patience, valid } from './records.js';

const SERVER_ID = { name: 'server_id', doc: 'uuid or host:port of the server.', type: 'string' } as const;

/** Changes one stored server; MySQL itself is not touched. */
async function storedChange(
  what: 'status' | 'mode' | 'weight',
  given: string,
  { store }: CommandContext,
  change: (server: ServerRecord) => Partial<ServerRecord>,
) {
  const { group, server } = await existingServer(store, given);
  return oneStep(`server.set_${what}`, group.id, `change the ${what}`, async (_data, context) => {
    let before = server;
    const changed = await changeGroup(context, group.id, current => {
      before = requireServer(current, server.uuid);
      return withServer(current, server.uuid, change(before));
    });
    const differences = compare(before, requireServer(changed, server.uuid));
    if (differences.length === 0) return;
    const sentence = `server ${server.uuid} (${formatAddress(server)}) of group ${group.id} has ${differences.join(', ')}`;
    decided(context, { group: group.id, server: server.uuid, event: what, sentence });
  });
}

/** What an operator can change of a server, in words. */
function compare(before: ServerRecord, after: ServerRecord): string[] {
  const words = ({ status, mode, weight }: ServerRecord) => [
    `status ${STATUS_NAMES[status]}`,
    `mode ${MODE_NAMES[mode]}`,
    `weight ${weight}`,
  ];
  const old = words(before);
  return words(after).flatMap((now, index) => {
    const was = old[index] ?? '';
    return now === was ? [] : [`${now} (was ${was.slice(was.indexOf(' ') + 1)})`];
  });
}

export const serverCommands = [
  read({
    name: 'server.lookup_uuid',
    doc: 'Ask a MySQL server for its uuid.',
    params: [
      { name: 'address', doc: 'host:port of the server.', type: 'string' },
      {
        name: 'timeout',
        doc: 'Seconds to wait for it, at most 60; [servers] unreachable_timeout if not given.',
        type: 'float',
        default: null,
      },
    ],
    sets: [[column('uuid', 'string')]],
    acts: true,
    run: async ({ address: given, timeout }, context) => {
      const address = valid(parseAddress(given), 'ServerError');
      const seconds = patience(timeout, 'ServerError', context);
      try {
        const server = await context.replication.connect(address, seconds * 1_000);
        try {
          return [[[(await server.identity()).uuid]]];
        } finally {
          server.close();
        }
      } catch (cause) {
        const reason = ended(cause instanceof Error ? cause.message : String(cause));
        throw new CommandError('ServerError', phrases.serverUnreachable(formatAddress(address), reason), { cause });
      }
    },
  }),

  procedure({
    name: 'server.set_status',
    doc: 'Change the status of a server: SECONDARY to SPARE and back, or FAULTY to SPARE after a repair.',
    params: [
      SERVER_ID,
      { name: 'status', doc: 'Name or index of the new status.', type: 'any' },
      {
        name: 'update_only',
        doc: 'Change the store alone, not the replication of the server.',
        type: 'bool',
        default: false,
      },
    ],
    plan: async ({ server_id: given, status, update_only: updateOnly }, context) => {
      const { group, server } = await existingServer(context.store, given);
      const to = valid(parseStatus(status), 'ServerError');
      valid(statusMove(server, to), 'ServerError');
      if (server.status === STATUS_FAULTY) {
        // Clients went on reporting it; whoever sets its status says that it is repaired.
        await context.store.forgetReports(server.uuid);
        return faultyToSpare({ group: group.id, server: server.uuid, updateOnly });
      }
      return storedChange('status', given, context, current => {
        // Asked again under the lock: the server may have become FAULTY meanwhile, and that way out is another procedure.
        const move = valid(statusMove(current, to), 'ServerError');
        if (move.from !== server.status)
          throw new CommandError('ServerError', phrases.noSuchMove(current.uuid, current.status, to));
        return { status: move.to, mode: move.mode ?? current.mode, byHand: current.byHand && updateOnly };
      });
    },
  }),

  procedure({
    name: 'server.set_mode',
    doc: 'Change what a server is used for, within what its status allows.',
    params: [SERVER_ID, { name: 'mode', doc: 'Name or index of the new mode.', type: 'any' }],
    plan: async ({ server_id: given, mode }, context) => {
      const to = valid(parseMode(mode), 'ServerError');
      return storedChange('mode', given, context, current => ({
        mode: valid(modeMove(current, to), 'ServerError'),
      }));
    },
  }),

  procedure({
    name: 'server.set_weight',
    doc: 'Change the share of the reads that a server gets.',
    params: [SERVER_ID, { name: 'weight', doc: 'Greater than 0, at most 1.', type: 'any' }],
    plan: async ({ server_id: given, weight }, context) => {
      const to = valid(parseWeight(weight), 'ServerError');
      return storedChange('weight', given, context, () => ({ weight: to }));
    },
  }),
] as const;
