import type { Context } from '../context.js';
import { CommandError, type CommandErrorKind } from '../errors.js';
import { type Parsed, parseServerId, phrases } from '../model.js';
import type { Procedure, Step } from '../procedures/run.js';
import type { GroupRecord, ServerRecord, Store } from '../store/store.js';

/** What most commands need: valid arguments, the server that is meant, and a procedure of one step. */

/** The value, or a CommandError that says why there is none. */
export function valid<T>(parsed: Parsed<T>, kind: CommandErrorKind): T {
  if ('problem' in parsed) throw new CommandError(kind, parsed.problem);
  return parsed.value;
}

/** The server with this uuid or `host:port`, whatever its group. */
export async function existingServer(
  store: Store,
  given: string,
): Promise<{ readonly group: GroupRecord; readonly server: ServerRecord }> {
  const id = parseServerId(given);
  const group = 'problem' in id ? undefined : await store.groupOfServer(id.value);
  const server = group && serverOf(group, given);
  if (!group || !server) throw new CommandError('ServerError', phrases.serverMissing(given));
  return { group, server };
}

/** The group's own server with this uuid or `host:port`. */
export function serverOf(group: GroupRecord, given: string): ServerRecord | undefined {
  const parsed = parseServerId(given);
  if ('problem' in parsed) return undefined;
  const id = parsed.value;
  if (typeof id === 'string') return group.servers.find(server => server.uuid === id);
  const host = id.host.toLowerCase();
  return group.servers.find(server => server.port === id.port && server.host.toLowerCase() === host);
}

/** Seconds to wait for a server. @throws CommandError when it cannot be waited so long. */
export function patience(
  seconds: number | null,
  kind: CommandErrorKind,
  { options }: Pick<Context, 'options'>,
): number {
  const given = seconds ?? options.servers.unreachableTimeout;
  if (given > 0 && given <= 60) return given;
  throw new CommandError(kind, `Timeout (${given}) must be greater than 0 and at most 60.`);
}

/** A procedure that is done in one go. */
export function oneStep(name: string, group: string, step: string, run: Step['run']): Procedure {
  return { name, group, data: {}, steps: [{ name: step, run }] };
}
