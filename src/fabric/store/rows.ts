import type { Mode, Status } from '../../wire/topology.js';
import type { Row, SqlValue } from './sql-database.js';
import type { Decision, DecisionEvent, ErrorReport, GroupRecord, RunEvent, RunRecord, ServerRecord } from './store.js';

/** Rows of the tables and the records that they stand for. */

export const GROUP_COLUMNS = 'id, description, active, primary_uuid, primary_since, baseline, version';
export const SERVER_COLUMNS = 'uuid, group_id, host, port, status, mode, weight, needs_fencing, by_hand';
export const REPORT_COLUMNS = 'server_uuid, reporter, error, reported_at';
export const DECISION_COLUMNS = 'decided_at, group_id, server_uuid, event, asked_by, sentence';
export const RUN_COLUMNS = 'uuid, name, group_id, step, data, ended, error, events';

export function groupRow(group: GroupRecord): SqlValue[] {
  const { id, description, active, primary, primarySince, baseline, version } = group;
  return [id, description, Number(active), primary, primarySince, baseline, version];
}

export function groupOf(row: Row, servers: readonly ServerRecord[]): GroupRecord {
  return {
    id: String(row.id),
    description: textOrNull(row.description),
    active: row.active === 1,
    primary: textOrNull(row.primary_uuid),
    primarySince: row.primary_since === null ? null : Number(row.primary_since),
    baseline: textOrNull(row.baseline),
    version: Number(row.version),
    servers,
  };
}

export function serverRow(group: string, server: ServerRecord): SqlValue[] {
  const { uuid, host, port, status, mode, weight, needsFencing, byHand } = server;
  return [uuid, group, host, port, status, mode, weight, Number(needsFencing), Number(byHand)];
}

export function serverOf(row: Row): ServerRecord {
  return {
    uuid: String(row.uuid),
    host: String(row.host),
    port: Number(row.port),
    status: Number(row.status) as Status,
    mode: Number(row.mode) as Mode,
    weight: Number(row.weight),
    needsFencing: row.needs_fencing === 1,
    byHand: row.by_hand === 1,
  };
}

export function reportRow({ server, reporter, error, at }: ErrorReport): SqlValue[] {
  return [server, reporter, error, at];
}

export function decisionRow({ at, group, server, event, by, sentence }: Decision): SqlValue[] {
  return [at, group, server, event, by, sentence];
}

export function decisionOf(row: Row): Decision {
  return {
    at: Number(row.decided_at),
    group: String(row.group_id),
    server: textOrNull(row.server_uuid),
    event: String(row.event) as DecisionEvent,
    by: String(row.asked_by),
    sentence: String(row.sentence),
  };
}

/** @param ended its place among the finished runs; null while it runs. */
export function runRow(run: RunRecord, ended: number | null): SqlValue[] {
  const { uuid, procedure, group, step, data, error, events } = run;
  return [uuid, procedure, group, step, data, ended, error, JSON.stringify(events)];
}

export function runOf(row: Row): RunRecord {
  return {
    uuid: String(row.uuid),
    procedure: String(row.name),
    group: String(row.group_id),
    step: Number(row.step),
    data: String(row.data),
    finished: row.ended !== null,
    error: textOrNull(row.error),
    events: JSON.parse(String(row.events)) as RunEvent[],
  };
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

/** `(?, ?), (?, ?)` for so many rows of so many columns. */
export function places(columns: string, rows: number): string {
  const row = `(${columns.replaceAll(/\w+/g, '?')})`;
  return Array(rows).fill(row).join(', ');
}
