import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Row, SqlDatabase, SqlSession, Work } from '../../src/fabric/store/sql-database.js';
import { createSqlStore } from '../../src/fabric/store/sql-store.js';
import { createSqliteDatabase } from '../../src/fabric/store/sqlite.js';
import { groupName, groupNumber, writeManyGroups } from '../fakes/many-groups.js';

/** What a store costs, in statements and rows: the same with a hundred groups and with ten thousand. */

const folder = mkdtempSync(join(tmpdir(), 'scale-'));
afterAll(() => rmSync(folder, { recursive: true }));

function counting(database: SqlDatabase) {
  const seen = { statements: 0, rows: 0 };
  const counted =
    <T>(work: Work<T>): Work<T> =>
    session => {
      const query: SqlSession['query'] = async (sql, values) => {
        const rows: readonly Row[] = await session.query(sql, values);
        seen.statements += 1;
        seen.rows += rows.length;
        return rows;
      };
      return work({
        query,
        execute: (...given) => {
          seen.statements += 1;
          return session.execute(...given);
        },
      });
    };
  const look: SqlDatabase = {
    ...database,
    look: work => database.look(counted(work)),
    read: work => database.read(counted(work)),
    write: (work, relaxed) => database.write(counted(work), relaxed),
  };
  const cost = async (work: () => Promise<unknown>) => {
    Object.assign(seen, { statements: 0, rows: 0 });
    await work();
    return { ...seen };
  };
  return { store: createSqlStore(look), cost };
}

async function costs(count: number) {
  const file = join(folder, `${count}.sqlite`);
  await writeManyGroups(file, count);
  const { store, cost } = counting(createSqliteDatabase({ file }));
  const other = createSqlStore(createSqliteDatabase({ file }));
  await other.open();
  const opening = await cost(() => store.open());
  expect(await store.group(groupName(7))).toEqual(groupNumber(7));
  const found = {
    opening: opening.statements,
    // Two of them beside the groups and their servers: whether there is news, and the revision.
    rowsPerGroup: Math.round(opening.rows / count),
    reading: await cost(async () => {
      await store.groups();
      await store.group(groupName(1));
      await store.groupOfServer({ host: 'DB1-1.example', port: 3306 });
      return store.revision;
    }),
    saving: await cost(async () => store.saveGroup({ ...groupNumber(1), description: 'new' })),
    catchingUp: await cost(async () => {
      await other.saveGroup({ ...groupNumber(2), description: 'new' });
      expect((await store.group(groupName(2)))?.description).toBe('new');
    }),
  };
  await Promise.all([store.close(), other.close()]);
  return found;
}

it('costs the same for a flood of reports and for their runs, however many reports there are already', async () => {
  const file = join(folder, 'reports.sqlite');
  await writeManyGroups(file, 1);
  const { store, cost } = counting(createSqliteDatabase({ file }));
  await store.open();
  const server = groupNumber(0).servers[0]?.uuid ?? '';
  const flood = async (count: number, at: number) => {
    const report = (n: number) => ({ server, reporter: `app ${n % 50}`, error: '2013', at });
    await Promise.all(Array.from({ length: count }, (_, n) => store.addReport(report(n), 0)));
    const ended = { group: groupName(0), step: 1, data: '{}', finished: true, error: null, events: [] };
    const run = (n: number) => ({ uuid: `${at} ${n}`, procedure: 'threat.report_error', ...ended });
    await Promise.all(Array.from({ length: count }, (_, n) => store.noteRun(run(n))));
  };
  const few = await cost(() => flood(200, 1));
  // The reports are written, pruned by age and number, and counted; the runs get a place and are written.
  expect(few.statements).toBeLessThanOrEqual(7);
  expect(few.rows).toBeLessThanOrEqual(3);
  await flood(9_000, 2);
  const many = await cost(() => flood(200, 3));
  expect(many.statements).toBeLessThanOrEqual(few.statements + 2);
  expect(many.rows).toBeLessThanOrEqual(few.rows + 1);
  expect((await store.countReports(server, 0)).reports).toBe(9_400);
  await store.close();
});

it('costs the same for each change and nothing for reading, however many groups there are', async () => {
  const few = await costs(100);
  expect(few).toMatchObject({ rowsPerGroup: 4, reading: { statements: 0, rows: 0 } });
  expect(few.opening).toBeLessThanOrEqual(5);
  expect(few.saving.statements).toBeLessThanOrEqual(8);
  // One group and its three servers, and the state's row twice.
  expect(few.catchingUp).toEqual({ statements: 5, rows: 6 });
  expect(await costs(10_000)).toEqual(few);
});
