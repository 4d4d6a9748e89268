/** A pool over the whole group: writes go to the primary, reads are shared by the secondaries. */

import type { RowDataPacket } from 'mysql2-fabric/promise';
import { createPool, MODE_READONLY } from 'mysql2-fabric/promise';
import { options } from './options.js';

const writers = createPool(options);
const readers = createPool({ ...options, mode: MODE_READONLY });

await writers.query('CREATE TABLE IF NOT EXISTS notes (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(200))');
await writers.execute('INSERT INTO notes (text) VALUES (?)', ['from the pool']);

const answers = new Map<number, number>();
for (let turn = 0; turn < 10; turn += 1) {
  const [rows] = await readers.query<RowDataPacket[]>('SELECT @@port AS port');
  const port = Number(rows[0]?.port);
  answers.set(port, (answers.get(port) ?? 0) + 1);
}
for (const [port, count] of answers) console.log(`${count} reads on port ${port}`);

await Promise.all([writers.end(), readers.end()]);
