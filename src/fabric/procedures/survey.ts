import { STATUS_SECONDARY } from '../../wire/topology.js';
import type { ManagedServer, ReplicaStatus } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { isInPlace } from './by-hand.js';
import { type Applicant, beyond, errantSince, holds } from './candidates.js';
import { refuseReplaced, requireServer } from './group-record.js';
import { CATCH_UP, describe, type Promotion, shortPatience, sparesByHand } from './promotion.js';
import type { StepContext } from './run.js';

/** What a failover learns of the servers that are left: who answers, what each has applied, and why some are out of the question. */

export interface Survey {
  readonly valid: readonly Applicant[];
  /** A sentence for each server that was passed over, by uuid. */
  readonly excluded: ReadonlyMap<string, string>;
}

/** Asks all at once; a server that does not answer costs the short patience once, not each. */
export async function survey(data: Promotion, group: GroupRecord, context: StepContext): Promise<Survey> {
  const servers = inQuestion(data, group);
  const rush = createRush();
  const answers = await Promise.allSettled(servers.map(server => look(server, data, group, rush, context)));
  const valid: Applicant[] = [];
  const excluded = new Map<string, string>();
  for (const [index, answer] of answers.entries()) {
    const { uuid, host, port } = servers[index] as ServerRecord;
    if (answer.status === 'fulfilled') valid.push(answer.value);
    else excluded.set(uuid, `Server (${uuid}, ${host}:${port}): ${describe(answer.reason)}.`);
  }
  return { valid, excluded };
}

/** The secondaries; a spare only when it was named. */
function inQuestion(data: Promotion, group: GroupRecord): ServerRecord[] {
  const asked = data.asked === null ? null : requireServer(group, data.asked).uuid;
  return group.servers.filter(
    ({ uuid, status }) => uuid !== data.old && (status === STATUS_SECONDARY || uuid === asked),
  );
}

async function look(
  record: ServerRecord,
  data: Promotion,
  group: GroupRecord,
  rush: Rush,
  context: StepContext,
): Promise<Applicant> {
  const server = await context.sessions.to(record, shortPatience(context));
  await refuseReplaced(record, server);
  if (record.byHand && sparesByHand(data)) await refuseByHand(record, server, data);
  const issues = await server.requirementIssues();
  if (issues.length > 0) throw new Error(issues.join('; '));
  if (data.oldExecuted === null) await drain(server);
  else await rush.join(timeout => receiveAll(server, data.oldExecuted ?? '', timeout));
  const executed = await server.executed();
  const errant = data.old === null ? '' : errantSince(executed, data.old, group.baseline ?? data.oldExecuted);
  if (errant !== '') throw new Error(`it has errant transactions: ${errant}`);
  return { uuid: record.uuid, weight: record.weight, executed };
}

/** @throws Error when `update_only` put the server into the group, and it is not in its place yet: nobody knows what is on it. */
async function refuseByHand({ uuid }: ServerRecord, server: ManagedServer, data: Promotion): Promise<void> {
  if (data.old === null || !(await isInPlace(server, data.old)))
    throw new Error('update_only has changed it in the state store alone, and it does not follow the primary yet');
  data.placed = [...(data.placed ?? []), uuid];
}

/** Nothing more comes from a source that is gone: what was received is applied, so that it counts. */
async function drain(server: ManagedServer): Promise<void> {
  const before = await server.replicaStatus();
  if (!before) return;
  const status = (await stopReceiving(server, before)) ?? before;
  if (status.retrieved === '' || holds(await server.executed(), status.retrieved)) return;
  await resumeApplier(server, status);
  await waitWhileItAdvances(server, status.retrieved);
}

/** A receiver that hangs in an attempt to connect receives nothing, but stopping it takes as long as the attempt: seconds. */
async function stopReceiving(server: ManagedServer, status: ReplicaStatus): Promise<ReplicaStatus | null> {
  if (status.ioThread !== 'running') return status;
  await server.stopReceiving();
  return server.replicaStatus();
}

async function resumeApplier(server: ManagedServer, status: ReplicaStatus): Promise<void> {
  if (status.sqlErrno !== 0) throw new Error(`its applier stopped with error ${status.sqlErrno} (${status.sqlError})`);
  if (status.sqlThread === 'stopped') await server.startApplying();
}

const SLICE = 1_000;

/** The last transaction may have been received in part only (5.6 counts it nevertheless): then the wait ends when nothing moves. */
async function waitWhileItAdvances(server: ManagedServer, retrieved: string): Promise<void> {
  const end = performance.now() + CATCH_UP;
  let applied = await server.executed();
  while (performance.now() < end) {
    if (await server.waitForExecuted(retrieved, SLICE)) return;
    const now = await server.executed();
    if (now === applied && isSingle(beyond(retrieved, now))) return;
    applied = now;
  }
  throw new Error(`it did not apply what it had received within ${CATCH_UP / 1000} seconds`);
}

function isSingle(gtids: string): boolean {
  return /^[^:,]+:\d+$/.test(gtids);
}

async function receiveAll(server: ManagedServer, gtids: string, timeout: number): Promise<boolean> {
  if (holds(await server.executed(), gtids)) return true;
  const status = await server.replicaStatus();
  if (status?.sqlThread !== 'running' || status.ioThread === 'stopped') throw new Error('its replication is stopped');
  return server.waitForExecuted(gtids, timeout);
}

/** Waits for all, but once one has everything, only as long as equals need: a slow replica must not hold up a complete one. */
interface Rush {
  join(wait: (timeout: number) => Promise<boolean>): Promise<void>;
}

const GRACE = 500;

function createRush(): Rush {
  let announce = () => {};
  const first = new Promise<void>(resolve => {
    announce = resolve;
  });
  return {
    async join(wait) {
      const own = wait(CATCH_UP);
      own.catch(() => {});
      const late = first.then(() => new Promise<false>(resolve => setTimeout(() => resolve(false), GRACE)));
      if (!(await Promise.race([own, late]))) throw new Error('it lacks transactions of the old primary');
      announce();
    },
  };
}
