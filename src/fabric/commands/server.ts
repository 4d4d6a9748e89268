import { STATUS_FAULTY } from '../../wire/topology.js';
import { CommandError } from '../errors.js';
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
import { existingServer, oneStep, valid } from './records.js';

const SERVER_ID = { name: 'server_id', doc: 'uuid or host:port of the server.', type: 'string' } as const;

/** Changes one stored server; MySQL itself is not touched. */
async function storedChange(
  name: string,
  given: string,
  step: string,
  { store }: CommandContext,
  change: (server: ServerRecord) => Partial<ServerRecord>,
) {
  const { group, server } = await existingServer(store, given);
  return oneStep(name, group.id, step, async (_data, context) => {
    await changeGroup(context, group.id, current =>
      withServer(current, server.uuid, change(requireServer(current, server.uuid))),
    );
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
        doc: 'Seconds to wait for it; [servers] unreachable_timeout if not given.',
        type: 'float',
        default: null,
      },
    ],
    sets: [[column('uuid', 'string')]],
    acts: true,
    run: async ({ address: given, timeout }, { replication, options }) => {
      const address = valid(parseAddress(given), 'ServerError');
      const seconds = timeout ?? options.servers.unreachableTimeout;
      if (seconds <= 0) throw new CommandError('ServerError', `Timeout (${seconds}) must be greater than 0.`);
      try {
        const server = await replication.connect(address, seconds * 1_000);
        try {
          return [[[(await server.identity()).uuid]]];
        } finally {
          server.close();
        }
      } catch (cause) {
        throw new CommandError('ServerError', phrases.serverUnreachable(formatAddress(address)), { cause });
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
      if (server.status === STATUS_FAULTY) return faultyToSpare({ group: group.id, server: server.uuid, updateOnly });
      return storedChange('server.set_status', given, 'change the status', context, current => {
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
      return storedChange('server.set_mode', given, 'change the mode', context, current => ({
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
      return storedChange('server.set_weight', given, 'change the weight', context, () => ({ weight: to }));
    },
  }),
] as const;
