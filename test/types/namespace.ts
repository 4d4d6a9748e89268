/** Compiled, never run: `import mysql from` gives the types too, as mysql2's does. */
import mysql from 'mysql2-fabric';
import promise from 'mysql2-fabric/promise';

const pool: mysql.Pool = mysql.createPool({ fabric: 'fabric1', user: 'app', group: 'shop' });
const connection: promise.Connection = promise.connect({ fabric: 'fabric1', user: 'app', group: 'shop' });
type Row = mysql.RowDataPacket & { id: number };
type Header = promise.ResultSetHeader;

export { connection, type Header, pool, type Row };

/** A statement with properties of its own, on every face. */
export async function ownProperties(): Promise<void> {
  const callbacks = mysql.createPool({ fabric: 'fabric1', group: 'shop' });
  callbacks.query({ sql: 'SELECT 1', mode: mysql.MODE_READONLY }, () => {});
  callbacks.execute({ sql: 'SELECT ?', values: [1], group: 'other' }, () => {});
  const promises = promise.createPool({ fabric: 'fabric1', group: 'shop' });
  const [rows] = await promises.query<Row[]>({ sql: 'SELECT 1 AS id', mode: 'READONLY' });
  const [more] = await connection.query<Row[]>({ sql: 'SELECT 1 AS id', rowsAsArray: false });
  const lent = await promises.getConnection();
  await lent.query({ sql: 'SELECT 1', nestTables: true });
  const own = promise.connect('mysql+fabric://fabric1?group=shop');
  const [last] = await own.execute<Row[]>({ sql: 'SELECT ? AS id', values: [1], mode: promise.MODE_READONLY });
  return void [rows[0]?.id, more[0]?.id, last[0]?.id];
}
