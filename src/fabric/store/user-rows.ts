import { places } from './rows.js';
import type { Row, SqlSession } from './sql-database.js';
import type { UserRecord } from './store.js';

/** The users in an SQL database, and in which order they are handed out. */

const COLUMNS = 'name, protocol, password, roles';

export function orderedUsers(users: readonly UserRecord[]): readonly UserRecord[] {
  const frozen = users.map(user => Object.freeze({ ...user, roles: Object.freeze([...user.roles]) }));
  return Object.freeze(frozen.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)));
}

const keyOf = ({ name, protocol }: UserRecord): string => `${name} ${protocol}`;

export async function readUsers(session: SqlSession): Promise<readonly UserRecord[]> {
  return orderedUsers((await session.query(`SELECT ${COLUMNS} FROM fabric_users`)).map(userOf));
}

function userOf(row: Row): UserRecord {
  return {
    name: String(row.name),
    protocol: row.protocol as UserRecord['protocol'],
    password: row.password === null ? null : String(row.password),
    roles: JSON.parse(String(row.roles)) as string[],
  };
}

/** They are few, so that all are written anew. In a transaction. */
export async function writeUsers(users: readonly UserRecord[], session: SqlSession): Promise<void> {
  await session.execute('DELETE FROM fabric_users');
  if (users.length === 0) return;
  const rows = users.map(({ name, protocol, password, roles }) => [name, protocol, password, JSON.stringify(roles)]);
  await session.execute(`INSERT INTO fabric_users (${COLUMNS}) VALUES ${places(COLUMNS, rows.length)}`, rows.flat());
}
