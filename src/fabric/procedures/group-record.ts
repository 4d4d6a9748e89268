import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { phrases } from '../model.js';
import type { ManagedServer, ServerIdentity } from '../replication/replication.js';
import { type GroupRecord, type ServerRecord, type Store, StoreConflict } from '../store/store.js';

/** Reading a group and its servers, and changing them: always on the newest stored value. */

/** The state store could not be read or changed. */
export class StoreFailure extends Error {
  constructor(cause: unknown) {
    super(`The state store failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function storeFailed(error: unknown): never {
  throw error instanceof StoreConflict ? error : new StoreFailure(error);
}

/** @throws CommandError when there is no such group; StoreFailure. */
export async function requireGroup({ store }: Pick<Context, 'store'>, id: string): Promise<GroupRecord> {
  const group = await store.group(id).catch(storeFailed);
  if (!group) throw new CommandError('GroupError', phrases.groupMissing(id));
  return group;
}

/** The server with this uuid or `host:port` (port 3306 when there is none). */
function findServer(group: GroupRecord, name: string): ServerRecord | undefined {
  const wanted = name.toLowerCase();
  const address = wanted.includes(':') ? wanted : `${wanted}:3306`;
  return group.servers.find(
    server => server.uuid.toLowerCase() === wanted || `${server.host}:${server.port}`.toLowerCase() === address,
  );
}

/** @throws CommandError when the group has no such server. */
export function requireServer(group: GroupRecord, name: string): ServerRecord {
  const server = findServer(group, name);
  if (!server) throw new CommandError('GroupError', phrases.serverNotInGroup(name, group.id));
  return server;
}

/** The group with some of a server's fields replaced. */
export function withServer(group: GroupRecord, uuid: string, change: Partial<Omit<ServerRecord, 'uuid'>>): GroupRecord {
  return {
    ...group,
    servers: group.servers.map(server => (server.uuid === uuid ? { ...server, ...change } : server)),
  };
}

const ATTEMPTS = 5;

/**
 * Stores what `change` makes of the newest value of the group, again when somebody else was faster.
 * `change` may return the group as it is: then nothing is written.
 * @throws StoreFailure.
 */
export async function changeGroup(
  context: { readonly store: Store },
  id: string,
  change: (group: GroupRecord) => GroupRecord,
): Promise<GroupRecord> {
  for (let attempt = 1; ; attempt += 1) {
    const group = await requireGroup(context, id);
    const changed = change(group);
    if (changed === group) return group;
    try {
      return await context.store.saveGroup(changed).catch(storeFailed);
    } catch (error) {
      if (!(error instanceof StoreConflict) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Another server may answer at the address by now, with other data. @throws CommandError then. */
export async function refuseReplaced(
  { uuid, host, port }: ServerRecord,
  server: ManagedServer,
): Promise<ServerIdentity> {
  const answering = await server.identity();
  if (answering.uuid.toLowerCase() === uuid.toLowerCase()) return answering;
  throw new CommandError('ServerError', `At ${host}:${port} answers server (${answering.uuid}), not (${uuid}).`);
}
