import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import type { ManagedServer } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { lostByPrimary } from './candidates.js';
import { type Declaration, markFaulty } from './declare-faulty.js';
import { failoverSteps } from './failover.js';
import { requireGroup } from './group-record.js';
import { newPromotion, open, patience, shortPatience } from './promotion.js';
import type { Procedure, Step, StepContext } from './run.js';

export type Reopening = Declaration & {
  lost: boolean;
  error: string;
};

/**
 * The primary has restarted and nobody has taken over. If it starts read-only it takes writes again, unless it lacks transactions that it has
 * had: then another takes over. For that each server of the group that is not FAULTY must answer.
 */
export function reopen({ group, server }: { group: string; server: string }): Procedure<Reopening> {
  const declaration = { server, reporter: 'the node', error: '', respectFailoverInterval: false };
  return reopening({ ...newPromotion(group, { automatic: true }), ...declaration, lost: false });
}

export function reopening(data: Reopening): Procedure<Reopening> {
  return {
    name: 'reopen',
    group: data.group,
    data,
    steps: [openAgain],
    rest: ({ lost }) => (lost ? [markFaulty, ...failoverSteps] : []),
  };
}

/** One step, so that after a crash nothing is opened on the word of an older comparison. */
const openAgain: Step<Reopening> = {
  name: 'open the primary that has restarted, if it has lost nothing',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const record = group.servers.find(({ uuid }) => uuid === data.server);
    if (!record || group.primary !== record.uuid || record.status === STATUS_FAULTY) return;
    const primary = await context.sessions.to(record, patience(context));
    // One that starts writable is open by now, and may be written to: what is lost is lost.
    if (!(await primary.identity()).readOnly) {
      await primary.setSemiSync('primary');
      return;
    }
    const lost = await lostBy(record, primary, group, context);
    if (lost !== '') {
      data.lost = true;
      data.error = `it has restarted, and lost transactions: ${lost}`;
      return;
    }
    await open(primary);
    const sentence = `server ${record.uuid} (${record.host}:${record.port}), the primary of group ${group.id}, has restarted read-only and takes writes again`;
    decided(context, { group: group.id, server: record.uuid, event: 'reopened', level: 'warn', sentence });
  },
};

async function lostBy(
  record: ServerRecord,
  primary: ManagedServer,
  { servers, baseline }: GroupRecord,
  context: StepContext,
): Promise<string> {
  const others = servers.filter(({ uuid, status }) => uuid !== record.uuid && status !== STATUS_FAULTY);
  const [executed, ...sent] = await Promise.all([
    primary.executed(),
    ...others.map(async server => received(await context.sessions.to(server, shortPatience(context)))),
  ]);
  return lostByPrimary(record.uuid, executed, baseline, sent);
}

async function received(server: ManagedServer): Promise<string> {
  const [executed, status] = await Promise.all([server.executed(), server.replicaStatus()]);
  return [executed, status?.retrieved ?? ''].join();
}
