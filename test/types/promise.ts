/** Compiled, never run: what mysql2's promise API takes, it takes from us. */

import type { Connection, Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
/** Compiled, never run: what mysql2's promise API takes, it takes from us. */
import mysql, {
  connect,
  createConnection,
  createPool,
  type FabricConnection,
  type FabricPool,
  MODE_READONLY,
  run,
} from 'mysql2-fabric/promise';

const options = { fabric: 'mysql+fabric://admin:secret@fabric1:32274', user: 'app', database: 'app', group: 'shop' };

interface Order extends RowDataPacket {
  id: number;
  total: string;
}

async function orders(db: Connection | Pool | PoolConnection): Promise<Order[]> {
  const [rows] = await db.query<Order[]>({ sql: 'SELECT id, total FROM orders WHERE id > ?', values: [7] });
  return rows;
}

async function usage(): Promise<number> {
  const connection: Connection = await createConnection(options);
  const pool: Pool = createPool({ ...options, connectionLimit: 5 });
  const lent: PoolConnection = await pool.getConnection();
  const [result] = await lent.execute<ResultSetHeader>('UPDATE orders SET total = ? WHERE id = ?', ['1.00', 1]);
  lent.release();

  const ours: FabricConnection = connect(options).setProperty({ mode: MODE_READONLY });
  const readers: FabricPool = createPool(options).setProperty({ mode: 'READ_ONLY' });
  await orders(ours);
  await orders(readers);
  await orders(connection);
  const ids: number = await run({ mode: MODE_READONLY }, () =>
    readers.withTransaction(async given => (await orders(given)).length, {
      isolationLevel: 'SERIALIZABLE',
      retries: 1,
    }),
  );
  await ours.withTransaction((given: FabricConnection) => given.query('SELECT 1'), { mode: 'READONLY' });
  console.log(ids);
  const theirs: Connection = ours;
  const theirPool: Pool = readers;
  await Promise.all([theirs.end(), theirPool.end(), connection.end(), pool.end()]);
  return result.affectedRows + mysql.MODE_READWRITE;
}

export { usage };
