import type { SqlSession, Work } from './sql-database.js';

/** For rows that come in floods: all that wait for their turn are written together, in one transaction. Resolves to what `insert` did. */
export function createBatches<T, R>(
  write: (work: Work<R>) => Promise<R>,
  insert: (items: readonly T[], session: SqlSession) => Promise<R>,
): (item: T) => Promise<R> {
  let next: { readonly items: T[]; readonly written: Promise<R> } | undefined;

  const begin = () => {
    const items: T[] = [];
    const close = () => {
      if (next?.items === items) next = undefined;
    };
    const written = write(session => {
      close();
      return insert(items, session);
    }).finally(close);
    return { items, written };
  };

  return item => {
    next ??= begin();
    next.items.push(item);
    return next.written;
  };
}

const ROWS_PER_STATEMENT = 200;

/** Calls `statement` for the items, a bounded number at a time. */
export async function inParts<T>(items: readonly T[], statement: (part: readonly T[]) => Promise<unknown>) {
  for (let from = 0; from < items.length; from += ROWS_PER_STATEMENT) {
    await statement(items.slice(from, from + ROWS_PER_STATEMENT));
  }
}

/** Removes all but the newest `kept` rows; `where` and its values choose among which. */
export async function keepNewest(
  table: string,
  where: string,
  values: readonly string[],
  kept: number,
  session: SqlSession,
): Promise<void> {
  const [oldest] = await session.query(
    `SELECT seq FROM ${table} WHERE ${where} ORDER BY seq DESC LIMIT 1 OFFSET ${kept}`,
    values,
  );
  if (!oldest) return;
  await session.execute(`DELETE FROM ${table} WHERE ${where} AND seq <= ?`, [...values, Number(oldest.seq)]);
}
