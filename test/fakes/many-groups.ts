import { groupRow, places, SERVER_COLUMNS, serverRow } from '../../src/fabric/store/rows.js';
import type { SqlDatabase } from '../../src/fabric/store/sql-database.js';
import { createSqliteDatabase, createSqliteStore } from '../../src/fabric/store/sqlite.js';
import type { GroupRecord, ServerRecord } from '../../src/fabric/store/store.js';

/** A state store full of groups, written in one go. */

const uuid = (n: number) => `${n.toString(16).padStart(8, '0')}-e5e4-11f1-a89c-02fc00000001`;

export const groupName = (n: number) => `group-${String(n).padStart(5, '0')}`;

/** Group number `n` of three servers, the first its primary. */
export function groupNumber(n: number): GroupRecord {
  const servers = [0, 1, 2].map(
    (m): ServerRecord => ({
      uuid: uuid(n * 3 + m),
      host: `db${n}-${m}.example`,
      port: 3306,
      status: m === 0 ? 3 : 2,
      mode: m === 0 ? 3 : 1,
      weight: 1,
      needsFencing: false,
      byHand: false,
    }),
  );
  const baseline = `${uuid(n * 3)}:1-1000`;
  const since = { primary: uuid(n * 3), primarySince: 1_795_290_654_000, baseline };
  return { id: groupName(n), description: null, active: false, ...since, version: n + 1, servers };
}

export async function writeManyGroups(file: string, count: number): Promise<void> {
  const store = createSqliteStore({ file });
  await store.open();
  await store.close();
  const database: SqlDatabase = createSqliteDatabase({ file });
  await database.open();
  await database.write(async session => {
    for (let n = 0; n < count; n += 1) {
      const group = groupNumber(n);
      await session.execute('INSERT INTO fabric_groups VALUES (?, ?, ?, ?, ?, ?, ?)', groupRow(group));
      const values = group.servers.flatMap(server => serverRow(group.id, server));
      const rows = places(SERVER_COLUMNS, group.servers.length);
      await session.execute(`INSERT INTO fabric_servers VALUES ${rows}`, values);
    }
    await session.execute('UPDATE fabric_state SET revision = ?', [count]);
  });
  await database.close();
}
