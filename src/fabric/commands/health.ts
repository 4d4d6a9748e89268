import type { Cell } from '../../wire/reply.js';
import { STATUS_FAULTY, STATUS_NAMES } from '../../wire/topology.js';
import { refusesWrites, type ServerIdentity } from '../replication/replication.js';
import { column } from './define.js';
import type { Finding } from './inspection.js';

/** What `group.health` reports: the original's columns first, then what it did not know. */

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
  column('gtids_missing', 'string'),
  column('gtids_errant', 'string'),
  column('seconds_behind', 'string'),
  column('semi_sync', 'string'),
  column('read_only', 'string'),
  column('super_read_only', 'string'),
  column('fencing', 'string'),
];
export const ISSUE_COLUMNS = [column('issue', 'string')];

/** As the original shows it: a server that cannot be reached is FAULTY here whatever is stored, and no error is the text `False`. */
export function healthRow(finding: Finding): readonly Cell[] {
  const { server, told, isPrimary, missing, errant } = finding;
  const replica = told?.replica ?? null;
  const replicates = told !== null && !isPrimary;
  return [
    server.uuid,
    told !== null,
    STATUS_NAMES[told ? server.status : STATUS_FAULTY],
    false,
    replicates && replica === null,
    replicates && replica !== null && replica.ioThread !== 'running',
    replicates && replica !== null && replica.sqlThread !== 'running',
    (replicates && replica?.ioError) || 'False',
    (replicates && replica?.sqlError) || 'False',
    missing,
    errant,
    replicates && replica && replica.secondsBehind !== null ? String(replica.secondsBehind) : null,
    told?.semiSync ? `${told.semiSync.role}${told.semiSync.active ? '' : ', inactive'}` : null,
    told && onOff(told.identity.readOnly),
    told && told.identity.superReadOnly !== null ? onOff(told.identity.superReadOnly) : null,
    fencing(finding),
  ];
}

const onOff = (on: boolean) => (on ? 'ON' : 'OFF');

/** Whether it refuses writes: `needed` as soon as it can be reached, `fenced`, or `open`. null: unknown. */
function fencing({ server, told }: Finding): string | null {
  if (server.needsFencing) return 'needed';
  return told && (refusesWrites(told.identity) ? 'fenced' : 'open');
}

/** @param primary uuid; null: the group has none, and its servers follow whom they will. */
export function issuesOf(finding: Finding, primary: string | null): string[] {
  const { server, told, isPrimary, errant } = finding;
  if (primary === null || !told) return [];
  if (isPrimary) return primaryIssues(server.uuid, told.identity);
  const { replica } = told;
  const issues: string[] = [];
  if (replica && replica.sourceUuid !== '' && replica.sourceUuid !== primary)
    issues.push(`Server (${server.uuid}) replicates from (${replica.sourceUuid}), but the primary is (${primary}).`);
  if (errant) issues.push(`Server (${server.uuid}) has errant transactions: ${errant}.`);
  if (!told.identity.readOnly) issues.push(`Server (${server.uuid}) accepts writes, but the primary is (${primary}).`);
  return issues;
}

function primaryIssues(uuid: string, { readOnly, superReadOnly }: ServerIdentity): string[] {
  if (!readOnly) return [];
  const variable = superReadOnly ? 'super_read_only' : 'read_only';
  return [`Server (${uuid}) is the primary, but refuses writes: ${variable} is ON.`];
}
