import { setTimeout as sleep } from 'node:timers/promises';
import { STATUS_FAULTY } from '../wire/topology.js';
import { decided } from './audit.js';
import type { Context } from './context.js';
import { changeGroup, withServer } from './procedures/group-record.js';
import type { Procedure, StepContext } from './procedures/run.js';
import type { Runner } from './procedures/runner.js';
import { type ManagedServer, refusesWrites } from './replication/replication.js';
import type { GroupRecord, ServerRecord } from './store/store.js';

/**
 * Fences each server that may accept writes although it must not, as soon as it can be reached (invariant 1): in all groups, whether they
 * are watched or not. So is a FAULTY one that is found to accept writes: a secondary that has come back, or a server that has restarted while
 * there was no node. One that is fenced is held on to by a connection: when it restarts it may have forgotten that, and is fenced again. (While
 * it is held on to nothing undoes a fence here: an operator who repairs the server may lift it.)
 */
export interface Fencer {
  start(): void;
  stop(): Promise<void>;
}

const PERIOD = 500;
const SETTLE = 100;

export function createFencer(context: Context, runner: Runner): Fencer {
  const ending = new AbortController();
  const trying = new Set<string>();
  const held = new Map<string, ManagedServer>();
  let work: Promise<void> | undefined;

  async function loop(): Promise<void> {
    while (!ending.signal.aborted) {
      await round().catch(error => context.log.error(`looking for servers to fence failed: ${String(error)}`));
      await sleep(PERIOD, undefined, { signal: ending.signal, ref: false }).catch(() => {});
    }
  }

  async function round(): Promise<void> {
    const groups = await context.store.groups();
    letGo(groups.flatMap(({ servers }) => servers.filter(isHeld).map(({ uuid }) => uuid)));
    for (const group of groups) {
      for (const server of group.servers) {
        const due = server.needsFencing || (isHeld(server) && !held.has(server.uuid));
        if (!due || trying.has(server.uuid)) continue;
        trying.add(server.uuid);
        void attempt(group, server).finally(() => trying.delete(server.uuid));
      }
    }
  }

  function letGo(kept: readonly string[]): void {
    for (const [uuid, server] of held) {
      if (kept.includes(uuid)) continue;
      held.delete(uuid);
      server.close();
    }
  }

  /** Connects first, so that the group's lock is taken only when there is something to do. */
  async function attempt(group: GroupRecord, server: ServerRecord): Promise<void> {
    const timeout = context.options.failureTracking.detectionTimeout * 1000;
    const connection = await context.replication.connect(server, timeout).catch(() => undefined);
    if (!connection) return;
    const needed = await needsFence(server, connection);
    // A procedure that goes on for long must not leave it open beside the primary. Nothing makes a FAULTY server anything but read-only.
    if (needed && (await isOut(group.id, server.uuid))) await shutAtOnce(connection);
    if (ending.signal.aborted || needed !== false) connection.close();
    else hold(connection, group.id, server.uuid);
    // A procedure that is under way may be just about to fence it.
    if (ending.signal.aborted || !needed || (isHeld(server) && runner.busy(group.id))) return;
    if (isHeld(server)) await runner.run(doubtFence(group.id, server.uuid)).done;
    await runner.run(fenceReturned(group.id, server.uuid, holder => hold(holder, group.id, server.uuid))).done;
  }

  /** As it is stored now: connecting may have taken a while. */
  async function isOut(group: string, uuid: string): Promise<boolean> {
    const stored = await context.store.group(group).catch(() => undefined);
    const record = stored?.servers.find(server => server.uuid === uuid);
    return record?.status === STATUS_FAULTY && stored?.primary !== uuid;
  }

  function hold(connection: ManagedServer, group: string, uuid: string): void {
    if (ending.signal.aborted) {
      connection.close();
      return;
    }
    held.set(uuid, connection);
    connection.onLost(() => {
      held.delete(uuid);
      if (!ending.signal.aborted) void runner.run(doubtFence(group, uuid)).done;
    });
  }

  return {
    start() {
      work ??= loop();
    },
    async stop() {
      ending.abort();
      letGo([]);
      await work;
    },
  };
}

/** What fails is done in the server's turn. */
async function shutAtOnce(server: ManagedServer): Promise<void> {
  await server
    .fence()
    .then(() => server.killClients())
    .catch(() => {});
}

/** null: it cannot be asked any more, or is another server, which has got the address. */
function needsFence({ uuid, needsFencing }: ServerRecord, server: ManagedServer): Promise<boolean | null> {
  return server.identity().then(
    identity => (identity.uuid === uuid ? needsFencing || !refusesWrites(identity) : null),
    () => null,
  );
}

const isHeld = ({ status, needsFencing }: ServerRecord) => status === STATUS_FAULTY && !needsFencing;

/** The connection to a fenced server was lost, or the server is not fenced (any more): if it has restarted, that is gone. */
function doubtFence(group: string, uuid: string): Procedure {
  const step = {
    name: 'fence the server again when it is back',
    run: async (_data: unknown, context: StepContext) => {
      const record = (await context.store.group(group))?.servers.find(server => server.uuid === uuid);
      if (record === undefined || !isHeld(record)) return;
      await changeGroup(context, group, stored => withServer(stored, uuid, { needsFencing: true }));
    },
  };
  return { name: 'fence', group, data: { server: uuid }, steps: [step] };
}

/**
 * Under the group's lock, and asked again there: the server may be the primary by now.
 * @param hold gets a connection that was made after the fence and before anybody hears of it, so that who lifts it then lifts it for good.
 */
function fenceReturned(group: string, uuid: string, hold: (connection: ManagedServer) => void): Procedure {
  const step = {
    name: 'fence the server that came back',
    run: async (_data: unknown, context: StepContext) => {
      const record = (await context.store.group(group))?.servers.find(server => server.uuid === uuid);
      if (!record?.needsFencing) return;
      const timeout = context.options.failureTracking.detectionTimeout * 1000;
      const server = await context.sessions.to(record, timeout);
      if ((await server.identity()).uuid !== uuid) return;
      await server.fence();
      await server.killClients();
      // A frozen server that goes on may still find an order to open in its buffers: the last word must be ours.
      await sleep(SETTLE);
      await server.fence();
      const holder = await context.replication.connect(record, timeout);
      await changeGroup(context, group, stored => withServer(stored, uuid, { needsFencing: false })).catch(error => {
        holder.close();
        throw error;
      });
      hold(holder);
      const sentence = `server ${uuid} (${record.host}:${record.port}) of group ${group} came back and is fenced`;
      decided(context, { group, server: uuid, event: 'fenced', level: 'warn', sentence });
    },
  };
  return { name: 'fence', group, data: { server: uuid }, steps: [step] };
}
