import type { Dialect, SqlSession } from './sql-database.js';

/** The tables of the state store: one schema in the words of both SQLite and MySQL (5.6 and newer), and how it came to be. */

const TABLES = [
  ...['fabric_state', 'fabric_groups', 'fabric_servers', 'fabric_error_log', 'fabric_procedures'],
  ...['fabric_decisions', 'fabric_counts', 'fabric_users'],
] as const;

const VERSION_TABLE = 'fabric_schema';

/**
 * What makes version n of version n-1. Never changed once released, only added to. MySQL commits each statement by itself, so each must be
 * harmless when it is repeated.
 */
const MIGRATIONS: readonly ((dialect: Dialect) => readonly string[])[] = [
  ({ serial, table }) => [
    // Its one row is what every writer locks. `revision` counts the changes of groups, `removals` those after which one is gone.
    `CREATE TABLE IF NOT EXISTS fabric_state (
      id INTEGER NOT NULL PRIMARY KEY, revision BIGINT NOT NULL, removals BIGINT NOT NULL
    )${table}`,
    `INSERT INTO fabric_state (id, revision, removals)
      SELECT 1, 0, 0 FROM (SELECT COUNT(*) AS present FROM fabric_state) AS counted WHERE present = 0`,
    `CREATE TABLE IF NOT EXISTS fabric_groups (
      id VARCHAR(64) NOT NULL PRIMARY KEY, description TEXT, active INTEGER NOT NULL, primary_uuid VARCHAR(40),
      primary_since BIGINT, baseline LONGTEXT, version BIGINT NOT NULL
    )${table}`,
    `CREATE TABLE IF NOT EXISTS fabric_servers (
      uuid VARCHAR(40) NOT NULL PRIMARY KEY, group_id VARCHAR(64) NOT NULL, host VARCHAR(255) NOT NULL, port INTEGER NOT NULL,
      status INTEGER NOT NULL, mode INTEGER NOT NULL, weight DOUBLE NOT NULL, needs_fencing INTEGER NOT NULL
    )${table}`,
    `CREATE TABLE IF NOT EXISTS fabric_error_log (
      seq ${serial}, server_uuid VARCHAR(40) NOT NULL, reporter TEXT NOT NULL, error TEXT NOT NULL, reported_at BIGINT NOT NULL
    )${table}`,
    // `ended`: null while it runs, else its place among the finished ones.
    `CREATE TABLE IF NOT EXISTS fabric_procedures (
      seq ${serial}, uuid VARCHAR(40) NOT NULL, name VARCHAR(64) NOT NULL, group_id VARCHAR(64) NOT NULL, step INTEGER NOT NULL,
      data LONGTEXT NOT NULL, ended BIGINT, error LONGTEXT, events LONGTEXT NOT NULL
    )${table}`,
  ],
  () => [
    'CREATE INDEX fabric_servers_group ON fabric_servers (group_id)',
    'CREATE INDEX fabric_error_log_server ON fabric_error_log (server_uuid, reported_at)',
    'CREATE INDEX fabric_procedures_uuid ON fabric_procedures (uuid)',
    'CREATE INDEX fabric_procedures_ended ON fabric_procedures (ended)',
  ],
  ({ serial, table }) => [
    `CREATE TABLE IF NOT EXISTS fabric_decisions (
      seq ${serial}, decided_at BIGINT NOT NULL, group_id VARCHAR(64) NOT NULL, server_uuid VARCHAR(40), event VARCHAR(32) NOT NULL,
      asked_by TEXT NOT NULL, sentence LONGTEXT NOT NULL
    )${table}`,
    `CREATE TABLE IF NOT EXISTS fabric_counts (
      kind VARCHAR(16) NOT NULL, subject VARCHAR(64) NOT NULL, event VARCHAR(32) NOT NULL, total BIGINT NOT NULL,
      PRIMARY KEY (kind, subject, event)
    )${table}`,
    'CREATE INDEX fabric_decisions_group ON fabric_decisions (group_id, seq)',
    'CREATE INDEX fabric_procedures_name ON fabric_procedures (name, ended)',
  ],
  ({ table }) => [
    // `password` is a hash; `roles` a list of names in JSON.
    `CREATE TABLE IF NOT EXISTS fabric_users (
      name VARCHAR(64) NOT NULL, protocol VARCHAR(16) NOT NULL, password VARCHAR(64), roles TEXT NOT NULL, PRIMARY KEY (name, protocol)
    )${table}`,
  ],
  () => ['ALTER TABLE fabric_servers ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0'],
];

/** What the tables of this program are. */
const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Makes the tables what this program needs; nobody else may do so meanwhile.
 * @throws Error when they belong to a newer program.
 */
export async function migrate(session: SqlSession, dialect: Dialect): Promise<void> {
  await session.execute(
    `CREATE TABLE IF NOT EXISTS ${VERSION_TABLE} (version INTEGER NOT NULL PRIMARY KEY)${dialect.table}`,
  );
  const [row] = await session.query(`SELECT COALESCE(MAX(version), 0) AS version FROM ${VERSION_TABLE}`);
  const found = Number(row?.version);
  if (found > SCHEMA_VERSION) {
    throw new Error(`The state store has schema version ${found}; this program knows it up to ${SCHEMA_VERSION}.`);
  }
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < found) continue;
    for (const statement of statements(dialect)) await repeatable(session, statement);
    await session.execute(`INSERT INTO ${VERSION_TABLE} (version) VALUES (?)`, [index + 1]);
  }
}

/** MySQL has no CREATE INDEX IF NOT EXISTS, and no ADD COLUMN IF NOT EXISTS. */
async function repeatable(session: SqlSession, statement: string): Promise<void> {
  try {
    await session.execute(statement);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== 'ER_DUP_KEYNAME' && code !== 'ER_DUP_FIELDNAME') throw error;
  }
}

/** Removes the tables and all that they hold. */
export async function dropTables(session: SqlSession): Promise<void> {
  for (const table of [...TABLES, VERSION_TABLE]) await session.execute(`DROP TABLE IF EXISTS ${table}`);
}
