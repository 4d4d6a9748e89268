import { inParts } from './batches.js';
import { places, RUN_COLUMNS, runOf, runRow } from './rows.js';
import type { SqlSession } from './sql-database.js';
import type { RunRecord } from './store.js';

/** The runs of procedures in an SQL database. */

/** Of each procedure, so that a flood of reports does not push out the promotions. */
const KEPT = 1_000;
/** So many finished runs of one come together before the oldest go. */
const BATCH = 100;

export async function readRun(uuid: string, session: SqlSession): Promise<RunRecord | undefined> {
  const [row] = await session.query('SELECT * FROM fabric_procedures WHERE uuid = ?', [uuid]);
  return row && runOf(row);
}

/** In a transaction. */
export async function writeRun(run: RunRecord, session: SqlSession): Promise<void> {
  const ended = run.finished ? await nextPlace(run.procedure, session) : null;
  const [known] = await session.query('SELECT seq FROM fabric_procedures WHERE uuid = ?', [run.uuid]);
  const [uuid, ...rest] = runRow(run, ended);
  if (known) {
    const [, ...columns] = RUN_COLUMNS.split(', ');
    const values = columns.map(column => `${column} = ?`).join(', ');
    await session.execute(`UPDATE fabric_procedures SET ${values} WHERE seq = ?`, [...rest, Number(known.seq)]);
  } else {
    const insert = `INSERT INTO fabric_procedures (${RUN_COLUMNS}) VALUES ${places(RUN_COLUMNS, 1)}`;
    await session.execute(insert, [uuid ?? '', ...rest]);
  }
  if (ended !== null && ended % BATCH === 0) await prune(run.procedure, ended, session);
}

/** In a transaction. None of them is known yet. */
export async function insertEndedRuns(runs: readonly RunRecord[], session: SqlSession): Promise<void> {
  for (const procedure of new Set(runs.map(run => run.procedure))) {
    let place = await nextPlace(procedure, session);
    const first = place;
    await inParts(
      runs.filter(run => run.procedure === procedure),
      part =>
        session.execute(
          `INSERT INTO fabric_procedures (${RUN_COLUMNS}) VALUES ${places(RUN_COLUMNS, part.length)}`,
          part.flatMap(run => runRow(run, place++)),
        ),
    );
    const last = place - 1;
    if (Math.floor(last / BATCH) > Math.floor((first - 1) / BATCH)) await prune(procedure, last, session);
  }
}

async function prune(procedure: string, newest: number, session: SqlSession): Promise<void> {
  await session.execute('DELETE FROM fabric_procedures WHERE name = ? AND ended <= ?', [procedure, newest - KEPT]);
}

/** Two nodes may come to the same one, which does no harm. */
async function nextPlace(procedure: string, session: SqlSession): Promise<number> {
  const [row] = await session.query(
    'SELECT COALESCE(MAX(ended), 0) + 1 AS place FROM fabric_procedures WHERE name = ?',
    [procedure],
  );
  return Number(row?.place);
}
