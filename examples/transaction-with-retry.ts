/** Transactions that live through a failover: what was certainly undone is done again, what is in doubt is not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool, type FabricError, type ResultSetHeader } from 'mysql2-fabric/promise';
import { options } from './options.js';

const transfers = Number(process.env.TRANSFERS ?? 5);
const pool = createPool(options);
await pool.query('CREATE TABLE IF NOT EXISTS transfers (id INT AUTO_INCREMENT PRIMARY KEY, amount INT)');

for (let number = 1; number <= transfers; number += 1) {
  try {
    const id = await pool.withTransaction(async connection => {
      const [taken] = await connection.execute<ResultSetHeader>('INSERT INTO transfers (amount) VALUES (?)', [-number]);
      await sleep(20);
      await connection.execute('INSERT INTO transfers (amount) VALUES (?)', [number]);
      return taken.insertId;
    });
    console.log(`transfer ${number}: done as ${id}`);
  } catch (error) {
    // COMMIT was sent and no answer came. Only the application can find out whether it happened.
    const inDoubt = (error as FabricError).code === 'FABRIC_IN_DOUBT';
    console.log(`transfer ${number}: ${inDoubt ? 'in-doubt' : String(error)}`);
  }
}
await pool.end();
