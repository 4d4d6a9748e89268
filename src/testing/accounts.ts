/** The accounts and the database that every sandbox server is born with. */

/** A MySQL login. */
export interface Account {
  readonly user: string;
  readonly password: string;
}

/** The database that every sandbox server is born with, empty. */
export const APP_DATABASE = 'app';

/** The accounts that every sandbox server is born with. */
export const accounts = {
  /** All privileges, no password, from this machine only (localhost and 127.0.0.1). */
  root: { user: 'root', password: '' },
  /** Administration and replication, from any host: all privileges, and it may grant them. */
  fabric: { user: 'fabric', password: 'fabric' },
  /** An ordinary application, from any host: reads, writes and tables, but neither SUPER nor administration. */
  app: { user: 'app', password: 'app' },
} as const satisfies Record<string, Account>;

const APP_PRIVILEGES = 'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, EXECUTE';

/**
 * The statements that make the accounts, one per line as `--init-file` and `--bootstrap` want them.
 * `version` is the number that `versionNumber` gives: before 5.7 an account is made by GRANT.
 */
export function accountStatements(version: number): string[] {
  const { fabric, app } = accounts;
  const database = `CREATE DATABASE ${APP_DATABASE};`;
  if (version < 50700) {
    return [
      "DELETE FROM mysql.user WHERE User = '';",
      "DELETE FROM mysql.db WHERE User = '';",
      'FLUSH PRIVILEGES;',
      `GRANT ALL ON *.* TO '${fabric.user}'@'%' IDENTIFIED BY '${fabric.password}' WITH GRANT OPTION;`,
      `GRANT ${APP_PRIVILEGES} ON *.* TO '${app.user}'@'%' IDENTIFIED BY '${app.password}';`,
      database,
    ];
  }
  return [
    "CREATE USER root@'127.0.0.1' IDENTIFIED BY '';",
    "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;",
    `CREATE USER '${fabric.user}'@'%' IDENTIFIED BY '${fabric.password}';`,
    `GRANT ALL ON *.* TO '${fabric.user}'@'%' WITH GRANT OPTION;`,
    `CREATE USER '${app.user}'@'%' IDENTIFIED BY '${app.password}';`,
    `GRANT ${APP_PRIVILEGES} ON *.* TO '${app.user}'@'%';`,
    database,
  ];
}
