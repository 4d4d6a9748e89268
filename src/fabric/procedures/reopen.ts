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
  finding: 'in order' | 'closed' | 'lost transactions';
  error: string;
};

/**
 * The primary has restarted and nobody has taken over. If it starts read-only it takes writes again, unless it lacks transactions that it has
 * had: then another takes over. For that each server of the group that is not FAULTY must answer.
 */
export function reopen({ group, server }: { group: string; server: string }): Procedure<Reopening> {
  const declaration = { server, reporter: 'the node', error: '', respectFailoverInterval: false };
  return reopening({ ...newPromotion(group, {}), ...declaration, finding: 'in order' });
}

export function reopening(data: Reopening): Procedure<Reopening> {
  return {
    name: 'reopen',
    group: data.group,
    data,
    steps: [compare],
    rest: ({ finding }) => REST[finding],
  };
}

const compare: Step<Reopening> = {
  name: 'compare the primary that has restarted with its secondaries',
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
    data.finding = 'closed';
    if (lost === '') return;
    data.finding = 'lost transactions';
    data.error = `it has restarted, and lost transactions: ${lost}`;
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

const openAgain: Step<Reopening> = {
  name: 'open the primary for writes again',
  async run({ group: id, server: uuid }, context) {
    const group = await requireGroup(context, id);
    const record = group.servers.find(server => server.uuid === uuid);
    if (!record || group.primary !== uuid) return;
    await open(await context.sessions.to(record, patience(context)));
    const sentence = `server ${uuid} (${record.host}:${record.port}), the primary of group ${id}, has restarted read-only and takes writes again`;
    decided(context, { group: id, server: uuid, event: 'reopened', level: 'warn', sentence });
  },
};

const REST: Readonly<Record<Reopening['finding'], readonly Step<Reopening>[]>> = {
  'in order': [],
  closed: [openAgain],
  'lost transactions': [markFaulty, ...failoverSteps],
};
