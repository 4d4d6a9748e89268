import { createBatches, inParts, keepNewest } from './batches.js';
import { DECISION_COLUMNS, decisionOf, decisionRow, places } from './rows.js';
import type { SqlSession, Work } from './sql-database.js';
import { COUNTED, type Count, DECISIONS_KEPT, DECISIONS_KEPT_PER_GROUP, type Decision } from './store.js';

/** The node's decisions, and how often what has happened, in an SQL database. */

/** So many of one group, or of all, come together before the oldest go. */
const BATCH = 100;

export function createDecisionLog(write: (work: Work<void>) => Promise<void>) {
  const unpruned = new Map<string | null, number>();

  /** null: all groups. */
  const prune = async (group: string | null, added: number, session: SqlSession) => {
    const count = (unpruned.get(group) ?? BATCH) + added;
    unpruned.set(group, count < BATCH ? count : 0);
    if (count < BATCH) return;
    if (group === null) await keepNewest('fabric_decisions', '1 = 1', [], DECISIONS_KEPT, session);
    else await keepNewest('fabric_decisions', 'group_id = ?', [group], DECISIONS_KEPT_PER_GROUP, session);
  };
  const insert = async (decisions: readonly Decision[], session: SqlSession) => {
    await inParts(decisions, part =>
      session.execute(
        `INSERT INTO fabric_decisions (${DECISION_COLUMNS}) VALUES ${places(DECISION_COLUMNS, part.length)}`,
        part.flatMap(decisionRow),
      ),
    );
    const counted = decisions.filter(({ event }) => COUNTED.has(event));
    await addCounts(
      counted.map(({ group, event }) => ({ kind: 'group', subject: group, event, total: 1 })),
      session,
    );
    for (const group of new Set(decisions.map(decision => decision.group)))
      await prune(group, decisions.length, session);
    await prune(null, decisions.length, session);
  };

  return {
    add: createBatches(write, insert),
    async latest(group: string | null, limit: number, session: SqlSession): Promise<Decision[]> {
      const [where, values] = group === null ? ['', []] : ['WHERE group_id = ?', [group]];
      const rows = await session.query(
        `SELECT ${DECISION_COLUMNS} FROM fabric_decisions ${where} ORDER BY seq DESC LIMIT ${Math.trunc(limit)}`,
        values,
      );
      return rows.map(decisionOf).reverse();
    },
  };
}

/** In a transaction. */
export async function addCounts(counts: readonly Count[], session: SqlSession): Promise<void> {
  for (const { kind, subject, event, total } of counts) {
    const found = await session.execute(
      'UPDATE fabric_counts SET total = total + ? WHERE kind = ? AND subject = ? AND event = ?',
      [total, kind, subject, event],
    );
    if (found > 0) continue;
    const columns = 'kind, subject, event, total';
    await session.execute(`INSERT INTO fabric_counts (${columns}) VALUES ${places(columns, 1)}`, [
      kind,
      subject,
      event,
      total,
    ]);
  }
}

export async function readCounts(kind: Count['kind'], session: SqlSession): Promise<Count[]> {
  const rows = await session.query('SELECT * FROM fabric_counts WHERE kind = ? ORDER BY subject, event', [kind]);
  return rows.map(({ subject, event, total }) => ({
    kind,
    subject: String(subject),
    event: String(event),
    total: Number(total),
  }));
}
