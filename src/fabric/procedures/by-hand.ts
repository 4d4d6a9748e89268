import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { type ManagedServer, refusesWrites } from '../replication/replication.js';
import type { GroupRecord } from '../store/store.js';
import { changeGroup, requireGroup, withServer } from './group-record.js';
import { shortPatience } from './promotion.js';
import type { Procedure, Step } from './run.js';

/** `update_only` changes the store and no server. What was changed so is the operator's affair until the server is in its stored place. */

/** When that is so, as part of a sentence. */
export function place(isPrimary: boolean): string {
  return isPrimary ? 'it accepts writes and follows nobody' : 'it refuses writes and follows the primary';
}

/** @param primary uuid of the group's primary, and null for that one itself. */
export async function isInPlace(server: ManagedServer, primary: string | null): Promise<boolean> {
  const [identity, replica] = await Promise.all([server.identity(), server.replicaStatus()]);
  if (primary === null) return !identity.readOnly && replica === null;
  if (!refusesWrites(identity) || replica === null || replica.ioThread === 'stopped' || replica.sqlThread === 'stopped')
    return false;
  return replica.sourceUuid.toLowerCase() === primary.toLowerCase();
}

export type Acceptance = {
  readonly group: string;
  /** uuid. */
  readonly server: string;
};

/** The server is in its place: the node looks after it again, and after the others of the group when it is the primary. */
export function accept(request: { group: string; server: string }): Procedure<Acceptance> {
  return acceptance({ ...request });
}

export function acceptance(data: Acceptance): Procedure<Acceptance> {
  return { name: 'accept', group: data.group, data, steps: [lookAfterIt] };
}

const lookAfterIt: Step<Acceptance> = {
  name: 'look after the server again',
  async run({ group: id, server: uuid }, context) {
    const group = await requireGroup(context, id);
    const record = group.servers.find(server => server.uuid === uuid);
    if (!record?.byHand || record.status === STATUS_FAULTY) return;
    const isPrimary = group.primary === uuid;
    if (group.servers.some(other => other.uuid === group.primary && other.status === STATUS_FAULTY)) return;
    const server = await context.sessions.to(record, shortPatience(context));
    if (!(await isInPlace(server, isPrimary ? null : group.primary))) return;
    // What it has by now counts as known from its promotion.
    const baseline = isPrimary ? await server.executed() : group.baseline;
    await changeGroup(context, id, stored => accepted(stored, group.primary, uuid, baseline));
    const sentence = `server ${uuid} (${record.host}:${record.port}) of group ${id} is in the place that update_only gave it: ${place(isPrimary)}`;
    decided(context, { group: id, server: uuid, event: 'status', sentence });
  },
};

function accepted(stored: GroupRecord, primary: string | null, uuid: string, baseline: string | null): GroupRecord {
  return stored.primary === primary ? { ...withServer(stored, uuid, { byHand: false }), baseline } : stored;
}
