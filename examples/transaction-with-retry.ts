/** Transactions that live through a failover: what was certainly undone is done again, what is in doubt is not. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createPool,
  type ErrorFacts,
  type FabricPool,
  type PoolConnection,
  type ResultSetHeader,
} from 'mysql2-fabric/promise';
import { options } from './options.js';

async function inTransaction<T>(pool: FabricPool, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const connection = await pool.getConnection();
    try {
      await connection.beginTransaction();
      const result = await work(connection);
      await connection.commit();
      return result;
    } catch (error) {
      const outcome = (error as { fabric?: ErrorFacts }).fabric?.outcome;
      const undone = outcome === 'rolled-back' || outcome === 'not-executed';
      // 'in-doubt': COMMIT was sent and no answer came. Only the application can find out whether it happened.
      if (!undone || attempt === 5) {
        await connection.rollback().catch(() => {});
        throw error;
      }
      console.log(`${outcome}: again`);
    } finally {
      connection.release();
    }
  }
}

const transfers = Number(process.env.TRANSFERS ?? 5);
const pool = createPool(options);
await pool.query('CREATE TABLE IF NOT EXISTS transfers (id INT AUTO_INCREMENT PRIMARY KEY, amount INT)');

for (let number = 1; number <= transfers; number += 1) {
  try {
    const id = await inTransaction(pool, async connection => {
      const [taken] = await connection.execute<ResultSetHeader>('INSERT INTO transfers (amount) VALUES (?)', [-number]);
      await sleep(20);
      await connection.execute('INSERT INTO transfers (amount) VALUES (?)', [number]);
      return taken.insertId;
    });
    console.log(`transfer ${number}: done as ${id}`);
  } catch (error) {
    const { outcome } = (error as { fabric?: ErrorFacts }).fabric ?? {};
    console.log(`transfer ${number}: ${outcome ?? String(error)}`);
  }
}
await pool.end();
