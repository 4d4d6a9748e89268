import { createBatches, inParts, keepNewest } from './batches.js';
import { places, REPORT_COLUMNS, reportOf, reportRow } from './rows.js';
import type { SqlSession, Work } from './sql-database.js';
import type { ErrorReport } from './store.js';

/** The reports against servers in an SQL database. */

const KEPT_PER_SERVER = 9_500;
/** So many of one server come together before the oldest go. */
const BATCH = 400;
const AGE_MS = 3_600_000;

export function createReportLog(write: (work: Work<void>) => Promise<void>) {
  const unpruned = new Map<string, number>();

  const insert = async (reports: readonly ErrorReport[], session: SqlSession) => {
    await inParts(reports, part =>
      session.execute(
        `INSERT INTO fabric_error_log (${REPORT_COLUMNS}) VALUES ${places(REPORT_COLUMNS, part.length)}`,
        part.flatMap(reportRow),
      ),
    );
    for (const [server, newest] of newestOf(reports)) {
      const count = (unpruned.get(server) ?? BATCH) + reports.length;
      unpruned.set(server, count < BATCH ? count : 0);
      await prune(server, newest, count >= BATCH, session);
    }
  };

  return {
    add: createBatches(write, insert),
    async of(server: string, since: number, session: SqlSession): Promise<ErrorReport[]> {
      const rows = await session.query(
        `SELECT ${REPORT_COLUMNS} FROM fabric_error_log WHERE server_uuid = ? AND reported_at >= ? ORDER BY seq`,
        [server, since],
      );
      return rows.map(reportOf);
    },
  };
}

/** By server. */
function newestOf(reports: readonly ErrorReport[]): Map<string, number> {
  const newest = new Map<string, number>();
  for (const { server, at } of reports) newest.set(server, Math.max(at, newest.get(server) ?? at));
  return newest;
}

/** The newest report is the clock: what is an hour older than it goes. */
async function prune(server: string, newest: number, many: boolean, session: SqlSession): Promise<void> {
  await session.execute('DELETE FROM fabric_error_log WHERE server_uuid = ? AND reported_at < ?', [
    server,
    newest - AGE_MS,
  ]);
  if (many) await keepNewest('fabric_error_log', 'server_uuid = ?', [server], KEPT_PER_SERVER, session);
}
