import type { Cell } from '../../wire/reply.js';
import { STATUS_FAULTY, STATUS_NAMES } from '../../wire/topology.js';
import type { Context } from '../context.js';
import { formatGtidSet, parseGtidSet, subtract } from '../replication/gtid.js';
import type { ManagedServer, ReplicaStatus } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { column } from './define.js';

/** What `group.health` reports: each server asked on a session of its own, all at the same time. */

export const HEALTH_COLUMNS = [
  column('uuid', 'string'),
  column('is_alive', 'bool'),
  column('status', 'string'),
  column('is_not_running', 'bool'),
  column('is_not_configured', 'bool'),
  column('io_not_running', 'bool'),
  column('sql_not_running', 'bool'),
  column('io_error', 'string'),
  column('sql_error', 'string'),
];
export const ISSUE_COLUMNS = [column('issue', 'string')];

export interface Health {
  readonly servers: readonly (readonly Cell[])[];
  readonly issues: readonly string[];
}

/** What one server said; without a session it said nothing. */
interface Finding {
  readonly server: ServerRecord;
  readonly session: ManagedServer | null;
  /** null: not configured as a replica, or not known. */
  readonly replica: ReplicaStatus | null;
  /** GTID set; null: not known. */
  readonly executed: string | null;
}

type HealthContext = Pick<Context, 'options' | 'replication'>;

export async function groupHealth(group: GroupRecord, context: HealthContext): Promise<Health> {
  const opened = await Promise.all(group.servers.map(server => open(server, context)));
  try {
    const isPrimary = ({ server }: Finding) => server.uuid === group.primary;
    const findings = await Promise.all(opened.map(finding => (isPrimary(finding) ? finding : inspect(finding))));
    const primary = findings.find(isPrimary);
    // Read after the others' sets: what they have got from the primary is in it by now, and only errant transactions are left over.
    const reference = primary ? (await inspect(primary)).executed : null;
    return {
      servers: findings.map(finding => healthRow(finding, isPrimary(finding))),
      issues: primary
        ? findings
            .filter(finding => !isPrimary(finding))
            .flatMap(finding => issuesOf(finding, primary.server, reference))
        : [],
    };
  } finally {
    for (const { session } of opened) session?.close();
  }
}

async function open(server: ServerRecord, { options, replication }: HealthContext): Promise<Finding> {
  const session = await replication.connect(server, options.servers.unreachableTimeout * 1_000).catch(() => null);
  return { server, session, replica: null, executed: null };
}

/** A server that stops answering here counts as one that could not be reached. */
async function inspect(finding: Finding): Promise<Finding> {
  const { session } = finding;
  if (!session) return finding;
  try {
    const [replica, executed] = await Promise.all([session.replicaStatus(), session.executed()]);
    return { ...finding, replica, executed };
  } catch {
    return { ...finding, session: null };
  }
}

/** As the original shows it: a server that cannot be reached is FAULTY here whatever is stored, and no error is the text `False`. */
function healthRow({ server, session, replica }: Finding, isPrimary: boolean): readonly Cell[] {
  const alive = session !== null;
  const status = STATUS_NAMES[alive ? server.status : STATUS_FAULTY];
  const replicates = alive && !isPrimary;
  return [
    server.uuid,
    alive,
    status,
    false,
    replicates && replica === null,
    replicates && replica !== null && replica.ioThread !== 'running',
    replicates && replica !== null && replica.sqlThread !== 'running',
    (replicates && replica?.ioError) || 'False',
    (replicates && replica?.sqlError) || 'False',
  ];
}

function issuesOf({ server, replica, executed }: Finding, primary: ServerRecord, reference: string | null): string[] {
  const issues: string[] = [];
  if (replica && replica.sourceUuid !== '' && replica.sourceUuid !== primary.uuid) {
    issues.push(
      `Server (${server.uuid}) replicates from (${replica.sourceUuid}), but the primary is (${primary.uuid}).`,
    );
  }
  const errant = executed === null || reference === null ? '' : missing(executed, reference);
  if (errant !== '') issues.push(`Server (${server.uuid}) has errant transactions: ${errant}.`);
  return issues;
}

/** What is in `executed` and not in `reference`, as text; empty: nothing. */
function missing(executed: string, reference: string): string {
  return formatGtidSet(subtract(parseGtidSet(executed), parseGtidSet(reference)));
}
