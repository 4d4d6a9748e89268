/** One connection: it finds the primary by itself, and a secondary when it is told that it will only read. */
import { connect, MODE_READONLY, MODE_READWRITE } from 'mysql2-fabric/promise';
import { options } from './options.js';

const { group, ...account } = options;
const connection = connect(account).setProperty({ group, mode: MODE_READWRITE });

await connection.query('CREATE TABLE IF NOT EXISTS visits (id INT AUTO_INCREMENT PRIMARY KEY, visitor VARCHAR(50))');
await connection.execute('INSERT INTO visits (visitor) VALUES (?)', ['Ada']);
console.log(`written on ${connection.server?.host}:${connection.server?.port}`);

connection.setProperty({ mode: MODE_READONLY });
const [rows] = await connection.query('SELECT @@port AS port');
console.log(`read on ${connection.server?.host}:${connection.server?.port}`, rows);

await connection.end();
