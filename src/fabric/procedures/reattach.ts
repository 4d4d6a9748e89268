import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { AdminError } from '../replication/replication.js';
import { changeGroup, requireGroup, withServer } from './group-record.js';
import { describe } from './promotion.js';
import { follow } from './repoint.js';
import type { Procedure, Step } from './run.js';

export type Reattachment = {
  readonly group: string;
  /** uuid. */
  readonly server: string;
};

/**
 * A secondary or spare was gone for a moment: one that restarted may be writable, or follow nobody, and would serve ever older rows. It is
 * made read-only and to follow the primary again; nothing happens when it does so already.
 */
export function reattach(request: { group: string; server: string }): Procedure<Reattachment> {
  return reattachment({ ...request });
}

export function reattachment(data: Reattachment): Procedure<Reattachment> {
  return { name: 'reattach', group: data.group, data, steps: [followAgain] };
}

const followAgain: Step<Reattachment> = {
  name: 'let the server that came back follow the primary',
  async run({ group: id, server: uuid }, context) {
    const group = await requireGroup(context, id);
    const primary = group.servers.find(server => server.uuid === group.primary);
    const server = group.servers.find(other => other.uuid === uuid);
    if (!primary || !server || server === primary) return;
    if (primary.status === STATUS_FAULTY || server.status === STATUS_FAULTY) return;
    try {
      await follow(server, primary, context);
    } catch (error) {
      const sentence = `server ${uuid} of group ${id} came back but does not follow the primary: ${describe(error)}`;
      const isErrant = error instanceof CommandError;
      // Anything else is tried again.
      if (!isErrant && !isReplicas(error)) throw new CommandError('ServerError', sentence, { cause: error });
      decided(context, { group: id, server: uuid, event: isErrant ? 'faulty' : 'repointed', level: 'warn', sentence });
      if (!isErrant) return;
      // Errant transactions (invariant 2): it does not count as a secondary until an operator has looked at it.
      await changeGroup(context, id, stored => withServer(stored, uuid, { status: STATUS_FAULTY, needsFencing: true }));
    }
  },
};

/** It follows, and what its threads complain of is MySQL's to try again, or an operator's to mend. */
function isReplicas(error: unknown): boolean {
  return error instanceof AdminError && /^REPLICA_(IO|SQL)_ERROR$/.test(error.code);
}
