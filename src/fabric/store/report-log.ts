import { createBatches, inParts, keepNewest } from './batches.js';
import { places, REPORT_COLUMNS, reportRow } from './rows.js';
import type { SqlSession, Work } from './sql-database.js';
import type { ErrorReport, ReportCount } from './store.js';

/** The reports against servers in an SQL database. */

/** As many as `notifications` may ask for; more are there until the oldest go. */
const KEPT_PER_SERVER = 10_000;
/** So many of one server come together before the oldest go. */
const BATCH = 400;
const AGE_MS = 3_600_000;

interface Added {
  readonly report: ErrorReport;
  readonly since: number;
}

type Counts = ReadonlyMap<string, ReportCount>;

export function createReportLog(write: (work: Work<Counts>) => Promise<Counts>) {
  const unpruned = new Map<string, number>();

  const insert = async (added: readonly Added[], session: SqlSession): Promise<Counts> => {
    const reports = added.map(({ report }) => report);
    await inParts(reports, part =>
      session.execute(
        `INSERT INTO fabric_error_log (${REPORT_COLUMNS}) VALUES ${places(REPORT_COLUMNS, part.length)}`,
        part.flatMap(reportRow),
      ),
    );
    const counts = new Map<string, ReportCount>();
    for (const [server, { newest, since }] of latestOf(added)) {
      const count = (unpruned.get(server) ?? BATCH) + reports.length;
      unpruned.set(server, count < BATCH ? count : 0);
      await prune(server, newest, count >= BATCH, session);
      counts.set(server, await countReports(server, since, session));
    }
    return counts;
  };

  const add = createBatches(write, insert);
  return {
    async add(report: ErrorReport, since: number): Promise<ReportCount> {
      return (await add({ report, since })).get(report.server) ?? NO_REPORTS;
    },
  };
}

export const NO_REPORTS: ReportCount = { reports: 0, reporters: 0 };

export async function countReports(server: string, since: number, session: SqlSession): Promise<ReportCount> {
  const [row] = await session.query(
    `SELECT COUNT(*) AS reports, COUNT(DISTINCT reporter) AS reporters FROM fabric_error_log
      WHERE server_uuid = ? AND reported_at >= ?`,
    [server, since],
  );
  return { reports: Number(row?.reports), reporters: Number(row?.reporters) };
}

export async function forgetReports(server: string, session: SqlSession): Promise<void> {
  await session.execute('DELETE FROM fabric_error_log WHERE server_uuid = ?', [server]);
}

/** By server: when its newest report came, and the latest `since`. */
function latestOf(added: readonly Added[]): Map<string, { readonly newest: number; readonly since: number }> {
  const latest = new Map<string, { readonly newest: number; readonly since: number }>();
  for (const { report, since } of added) {
    const known = latest.get(report.server) ?? { newest: report.at, since };
    latest.set(report.server, { newest: Math.max(report.at, known.newest), since: Math.max(since, known.since) });
  }
  return latest;
}

/** The newest report is the clock: what is an hour older than it goes. */
async function prune(server: string, newest: number, many: boolean, session: SqlSession): Promise<void> {
  await session.execute('DELETE FROM fabric_error_log WHERE server_uuid = ? AND reported_at < ?', [
    server,
    newest - AGE_MS,
  ]);
  if (many) await keepNewest('fabric_error_log', 'server_uuid = ?', [server], KEPT_PER_SERVER, session);
}
