import type { ErrorReport, ReportCount } from './store.js';

/** The reports against servers of a node that forgets everything when it stops. A report costs the same however many there are. */

/** As many as `notifications` may ask for. */
const KEPT_PER_SERVER = 10_000;
/** So many come together before the oldest go, so that a flood of reports does not copy the list each time. */
const BATCH = 1_000;
const AGE_MS = 3_600_000;

export function createMemoryReports() {
  const logs = new Map<string, ReturnType<typeof createLog>>();
  return {
    add(report: ErrorReport): void {
      const log = logs.get(report.server) ?? createLog();
      logs.set(report.server, log);
      log.add(report);
    },
    count: (server: string, since: number): ReportCount => logs.get(server)?.count(since) ?? NO_REPORTS,
    forget: (server: string): void => void logs.delete(server),
  };
}

const NO_REPORTS: ReportCount = { reports: 0, reporters: 0 };

/** Of one server, in the order in which they came. */
function createLog() {
  /** How many reports each has from `first` on. */
  const reporters = new Map<string, number>();
  let reports: ErrorReport[] = [];
  let first = 0;
  let since = Number.NEGATIVE_INFINITY;

  const countIn = ({ reporter }: ErrorReport) => reporters.set(reporter, (reporters.get(reporter) ?? 0) + 1);
  const countOut = ({ reporter }: ErrorReport) => {
    const left = (reporters.get(reporter) ?? 0) - 1;
    if (left > 0) reporters.set(reporter, left);
    else reporters.delete(reporter);
  };
  const recount = (kept: ErrorReport[]) => {
    reports = kept;
    first = 0;
    reporters.clear();
    for (const report of kept) countIn(report);
  };
  /** The newest report is the clock: what is an hour older than it goes. */
  const prune = (newest: number) => {
    const [oldest] = reports;
    if (reports.length < KEPT_PER_SERVER + BATCH && (!oldest || oldest.at >= newest - AGE_MS)) return;
    const kept = reports.filter(({ at }) => at >= newest - AGE_MS);
    recount(kept.slice(-KEPT_PER_SERVER));
  };

  return {
    add(report: ErrorReport): void {
      reports.push(Object.freeze({ ...report }));
      countIn(report);
      prune(report.at);
    },
    /** The moment mostly moves on, and what it leaves behind is passed once. */
    count(moment: number): ReportCount {
      if (moment < since) recount(reports);
      since = moment;
      for (let oldest = reports[first]; oldest && oldest.at < since; oldest = reports[first]) {
        countOut(oldest);
        first += 1;
      }
      return { reports: reports.length - first, reporters: reporters.size };
    },
  };
}
