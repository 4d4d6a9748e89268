/** Brings a server back to the state it was born in: alone, writable, without history and without application data. */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { APP_DATABASE } from './accounts.js';
import { versionNumber } from './server-options.js';

/**
 * Stops and forgets replication, makes the server writable, switches semi-sync off, empties the application's database, and
 * discards binary logs and GTIDs. The connection needs administrative rights. A statement that waits for a lock gives up after 10 s.
 */
export async function resetServer(connection: Connection): Promise<void> {
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
  const version = versionNumber(String(row?.version));
  for (const statement of [...resetStatements(version).before, ...(await switchesOff(connection))]) {
    await connection.query(statement);
  }
  for (const statement of resetStatements(version).after) await connection.query(statement);
}

/** The statements by version; words changed in 8.0.22 and 8.2. */
export function resetStatements(version: number): { before: string[]; after: string[] } {
  const replica = version >= 80022 ? 'REPLICA' : 'SLAVE';
  return {
    before: [`STOP ${replica}`, `RESET ${replica} ALL`],
    after: [
      'SET SESSION lock_wait_timeout = 10',
      'SET SESSION sql_log_bin = OFF',
      `DROP DATABASE IF EXISTS ${APP_DATABASE}`,
      `CREATE DATABASE ${APP_DATABASE}`,
      'SET SESSION sql_log_bin = ON',
      version >= 80200 ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER',
    ],
  };
}

/** super_read_only before read_only, for the first holds the second. */
const SWITCHES = ['super_read_only', 'read_only', 'offline_mode'];

/** What is switched on and is not so in a new server; older versions lack some of these. */
async function switchesOff(connection: Connection): Promise<string[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    "SHOW GLOBAL VARIABLES WHERE Value = 'ON' AND (Variable_name IN (?) OR Variable_name LIKE 'rpl\\_semi\\_sync\\_%\\_enabled')",
    [SWITCHES],
  );
  const names = rows.map(row => String(row.Variable_name));
  const order = (name: string) => (SWITCHES.indexOf(name) + SWITCHES.length) % SWITCHES.length;
  return names.sort((a, b) => order(a) - order(b)).map(name => `SET GLOBAL ${name} = OFF`);
}
