import { randomUUID } from 'node:crypto';
import { STATUS_FAULTY } from '../../wire/topology.js';
import { declareFaulty } from '../procedures/declare-faulty.js';
import type { ErrorReport, GroupRecord, RunRecord, ServerRecord } from '../store/store.js';
import { reportsCondemn } from '../suspicion.js';
import { type CommandContext, procedure } from './define.js';
import { existingServer } from './records.js';

/** What clients and operators tell about servers. */

const PARAMS = [
  { name: 'server_id', doc: 'uuid or host:port of the server.', type: 'string' },
  { name: 'reporter', doc: 'Who says so.', type: 'string', default: 'unknown' },
  { name: 'error', doc: 'What happened: an error number or a text.', type: 'string', default: 'unknown' },
  { name: 'update_only', doc: 'Mark it FAULTY without a failover.', type: 'bool', default: false },
] as const;

const REPORTER_LENGTH = 64;
const ERROR_LENGTH = 255;

interface Report {
  readonly server_id: string;
  readonly reporter: string;
  readonly error: string;
}

/** Notes the report. Long texts are cut: reports are kept by the thousand. */
async function note(report: Report, context: CommandContext) {
  const { group, server } = await existingServer(context.store, report.server_id);
  const noted: ErrorReport = {
    server: server.uuid,
    reporter: report.reporter.slice(0, REPORTER_LENGTH),
    error: report.error.slice(0, ERROR_LENGTH),
    at: context.now(),
  };
  await context.store.addReport(noted);
  return { group, server, noted };
}

/** The classic rule: enough reports of enough clients within the interval. */
async function condemned(group: GroupRecord, server: ServerRecord, { store, options, now }: CommandContext) {
  // Nothing is left to do for a FAULTY server, unless it still is the primary because no failover has succeeded; where none is wanted, an
  // operator has the next word.
  if (server.status === STATUS_FAULTY && (group.primary !== server.uuid || server.byHand)) return false;
  const { failureTracking } = options;
  const reports = await store.reports(server.uuid, now() - failureTracking.notificationInterval * 1_000);
  return reportsCondemn(reports, failureTracking, now());
}

/** The report of a client changes nothing in the group, so it waits for no lock: a failover under way must not hold up those who report. */
async function finishedRun(group: string, { store, now }: CommandContext): Promise<RunRecord> {
  const step = 'note the report';
  const run: RunRecord = {
    uuid: randomUUID(),
    procedure: 'threat.report_error',
    group,
    step: 1,
    data: '{}',
    finished: true,
    error: null,
    events: [
      { state: 3, success: 2, at: now(), description: 'Triggered by threat.report_error.' },
      { state: 4, success: 2, at: now(), description: `Executing action (${step}).` },
      { state: 5, success: 2, at: now(), description: `Executed action (${step}).` },
    ],
  };
  await store.saveRun(run);
  return run;
}

export const threatCommands = [
  procedure({
    name: 'threat.report_error',
    doc: 'Report an error of a server: the node looks at it at once, and enough reports of enough clients make it FAULTY.',
    params: PARAMS,
    plan: async ({ update_only: updateOnly, ...report }, context) => {
      const { group, server, noted } = await note(report, context);
      if (await condemned(group, server, context)) {
        return declareFaulty({ group: group.id, ...noted, updateOnly, respectFailoverInterval: true });
      }
      context.detector.hint(server.uuid, group.id);
      return finishedRun(group.id, context);
    },
  }),

  procedure({
    name: 'threat.report_failure',
    doc: 'Report that a server has failed: it becomes FAULTY at once, and if it was the primary another one takes over.',
    params: PARAMS,
    plan: async ({ update_only: updateOnly, ...report }, context) => {
      const { group, noted } = await note(report, context);
      return declareFaulty({ group: group.id, ...noted, updateOnly, respectFailoverInterval: false });
    },
  }),
] as const;
