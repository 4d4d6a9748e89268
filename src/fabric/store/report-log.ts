import { places, REPORT_COLUMNS, reportOf, reportRow } from './rows.js';
import type { SqlSession, Work } from './sql-database.js';
import type { ErrorReport } from './store.js';

/** The reports against servers in an SQL database. They come in floods, so all that wait for their turn are written together. */

const KEPT_PER_SERVER = 9_500;
/** So many of one server come together before the oldest go. */
const BATCH = 400;
const ROWS_PER_STATEMENT = 200;
const AGE_MS = 3_600_000;

interface Batch {
  readonly reports: ErrorReport[];
  readonly written: Promise<void>;
}

export function createReportLog(write: (work: Work<void>) => Promise<void>) {
  const unpruned = new Map<string, number>();
  let next: Batch | undefined;

  const newBatch = (): Batch => {
    const reports: ErrorReport[] = [];
    const close = () => {
      if (next?.reports === reports) next = undefined;
    };
    const written = write(async session => {
      close();
      await insert(reports, session);
      for (const [server, newest] of newestOf(reports)) {
        const count = (unpruned.get(server) ?? BATCH) + reports.length;
        unpruned.set(server, count < BATCH ? count : 0);
        await prune(server, newest, count >= BATCH, session);
      }
    }).finally(close);
    return { reports, written };
  };

  return {
    add(report: ErrorReport): Promise<void> {
      next ??= newBatch();
      next.reports.push(report);
      return next.written;
    },
    async of(server: string, since: number, session: SqlSession): Promise<ErrorReport[]> {
      const rows = await session.query(
        `SELECT ${REPORT_COLUMNS} FROM fabric_error_log WHERE server_uuid = ? AND reported_at >= ? ORDER BY seq`,
        [server, since],
      );
      return rows.map(reportOf);
    },
  };
}

async function insert(reports: readonly ErrorReport[], session: SqlSession): Promise<void> {
  for (let from = 0; from < reports.length; from += ROWS_PER_STATEMENT) {
    const part = reports.slice(from, from + ROWS_PER_STATEMENT);
    await session.execute(
      `INSERT INTO fabric_error_log (${REPORT_COLUMNS}) VALUES ${places(REPORT_COLUMNS, part.length)}`,
      part.flatMap(reportRow),
    );
  }
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
  if (!many) return;
  const [oldest] = await session.query(
    `SELECT seq FROM fabric_error_log WHERE server_uuid = ? ORDER BY seq DESC LIMIT 1 OFFSET ${KEPT_PER_SERVER}`,
    [server],
  );
  if (!oldest) return;
  await session.execute('DELETE FROM fabric_error_log WHERE server_uuid = ? AND seq <= ?', [
    server,
    Number(oldest.seq),
  ]);
}
