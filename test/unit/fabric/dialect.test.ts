import { describe, expect, it } from 'vitest';
import { isAtLeast, pickDialect } from '../../../src/fabric/replication/dialect.js';
import { semiSync } from '../../../src/fabric/replication/following.js';
import { requirementIssues } from '../../../src/fabric/replication/requirements.js';
import type { Session } from '../../../src/fabric/replication/session.js';

describe('pickDialect', () => {
  it.each([
    ['5.6.24-log', 'MySQL 5.6'],
    ['5.7.8-rc', 'MySQL 5.6'],
    ['5.7.44', 'MySQL 5.7'],
    ['8.0.3-rc-log', 'MySQL 5.7'],
    ['8.0.21', 'MySQL 8.0'],
    ['8.0.22', 'MySQL 8.0.22'],
    ['8.0.25-15', 'MySQL 8.0.23'],
    ['8.0.26', 'MySQL 8.0.26+'],
    ['8.4.3', 'MySQL 8.0.26+'],
    ['9.7.4-2', 'MySQL 8.0.26+'],
    ['10.0.1', 'MySQL 8.0.26+'],
    ['', 'MySQL 5.6'],
  ])('%j speaks %s', (version, name) => {
    expect(pickDialect(version).name).toBe(name);
  });

  it.each([
    ['5.6.24', false, 'CHANGE MASTER', 'SLAVE', 'slave_net_timeout'],
    ['5.7.44', true, 'CHANGE MASTER', 'SLAVE', 'slave_net_timeout'],
    ['8.0.21', true, 'CHANGE MASTER', 'SLAVE', 'slave_net_timeout'],
    ['8.0.22', true, 'CHANGE MASTER', 'REPLICA', 'slave_net_timeout'],
    ['8.0.23', true, 'CHANGE REPLICATION SOURCE', 'REPLICA', 'slave_net_timeout'],
    ['9.7.4', true, 'CHANGE REPLICATION SOURCE', 'REPLICA', 'replica_net_timeout'],
  ])('%s: the words it knows', (version, superReadOnly, change, noun, netTimeout) => {
    const dialect = pickDialect(version);
    const { status, start, startReceiving, startApplying, stop, stopReceiving, forgetSource } = dialect;
    expect(dialect).toMatchObject({ superReadOnly, netTimeout });
    expect(dialect.changeSource).toMatch(new RegExp(`^${change} TO`));
    expect(dialect.changeSource.split('?')).toHaveLength(5);
    for (const statement of [status, start, startReceiving, startApplying, stop, stopReceiving, forgetSource]) {
      expect(statement).toMatch(new RegExp(`^(SHOW|START|STOP|RESET) ${noun}\\b`));
      expect(statement.includes("FOR CHANNEL ''")).toBe(superReadOnly);
    }
  });

  it('asks for the public key wherever caching_sha2_password may be the default', () => {
    expect(pickDialect('5.7.44').changeSource).not.toContain('PUBLIC_KEY');
    for (const version of ['8.0.21', '8.0.22'])
      expect(pickDialect(version).changeSource).toContain('GET_MASTER_PUBLIC_KEY = 1');
    for (const version of ['8.0.23', '9.7.4'])
      expect(pickDialect(version).changeSource).toContain('GET_SOURCE_PUBLIC_KEY = 1');
  });
});

describe('isAtLeast', () => {
  it.each([
    ['5.6.8', '5.6.8', true],
    ['5.6.10', '5.6.8', true],
    ['5.6.7', '5.6.8', false],
    ['5.5.60', '5.6.8', false],
    ['10.1', '9.7.4', true],
    ['8.0', '8.0.4', false],
    ['nonsense', '5.6.8', false],
  ])('%s against %s', (version, since, expected) => {
    expect(isAtLeast(version, since)).toBe(expected);
  });
});

describe('requirementIssues', () => {
  const good = {
    log_bin: 'ON',
    gtid_mode: 'ON',
    enforce_gtid_consistency: 'ON',
    log_slave_updates: 'ON',
    server_id: '7',
  };
  const facts = (
    over: { version?: string; variables?: Record<string, string>; grants?: string[]; passwordLength?: number } = {},
  ) => ({
    version: over.version ?? '5.6.24-log',
    passwordLength: over.passwordLength ?? 32,
    variables: new Map(Object.entries(over.variables ?? good)),
    grants: over.grants ?? [
      "GRANT ALL PRIVILEGES ON *.* TO 'fabric'@'%' IDENTIFIED BY PASSWORD '*CB' WITH GRANT OPTION",
    ],
  });

  it('has nothing to say about a good server', () => {
    expect(requirementIssues(facts())).toEqual([]);
  });

  it('names each wrong variable with the value it must have', () => {
    const variables = {
      log_bin: 'OFF',
      gtid_mode: 'OFF_PERMISSIVE',
      enforce_gtid_consistency: 'WARN',
      log_slave_updates: '0',
      server_id: '0',
    };
    expect(requirementIssues(facts({ variables })).map(issue => issue.split(':')[0])).toEqual([
      'log_bin must be ON but is OFF',
      'gtid_mode must be ON but is OFF_PERMISSIVE',
      'enforce_gtid_consistency must be ON but is WARN',
      'log_slave_updates must be ON but is 0',
      'server_id must be greater than 0 but is 0',
    ]);
    expect(requirementIssues(facts({ variables: {} }))).toHaveLength(5);
  });

  it('knows the new name of log_slave_updates', () => {
    const { log_slave_updates: _, ...rest } = good;
    expect(requirementIssues(facts({ variables: { ...rest, log_replica_updates: 'ON' } }))).toEqual([]);
  });

  it('refuses old servers and MariaDB', () => {
    expect(requirementIssues(facts({ version: '5.6.7' }))).toEqual([
      "The server's version is 5.6.7; 5.6.8 or newer is required",
    ]);
    expect(requirementIssues(facts({ version: '10.11.19-MariaDB-0+deb12u1' }))[0]).toContain('MariaDB');
  });

  it('refuses a password that replication would cut short', () => {
    expect(requirementIssues(facts({ passwordLength: 33 }))).toEqual([
      "The account's password has 33 characters; replication takes at most 32 characters",
    ]);
  });

  it('names missing privileges, whatever the rows they come in', () => {
    const grants = [
      "GRANT PROCESS, REPLICATION CLIENT ON *.* TO 'fabric'@'%'",
      "GRANT ALL PRIVILEGES ON `app`.* TO 'fabric'@'%'",
      'GRANT `admin`@`%` TO `fabric`@`%`',
    ];
    expect(requirementIssues(facts({ grants }))).toEqual([
      'The account lacks the privilege REPLICATION SLAVE ON *.*',
      'The account lacks the privilege RELOAD ON *.*',
      'The account lacks the privilege SUPER ON *.*',
    ]);
  });

  it('takes SUPER or its parts from 8.0 on', () => {
    const basics = 'GRANT RELOAD, PROCESS, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `fabric`@`%`';
    const version = '9.7.4-2';
    const parts = 'GRANT CONNECTION_ADMIN,REPLICATION_SLAVE_ADMIN,SYSTEM_VARIABLES_ADMIN ON *.* TO `fabric`@`%`';
    expect(requirementIssues(facts({ version, grants: [basics, parts] }))).toEqual([]);
    expect(requirementIssues(facts({ version, grants: [basics, 'GRANT SUPER ON *.* TO `fabric`@`%`'] }))).toEqual([]);
    expect(requirementIssues(facts({ version, grants: [basics, parts.replace('CONNECTION_ADMIN,', '')] }))).toEqual([
      'The account lacks the privilege CONNECTION_ADMIN (or SUPER) ON *.*',
    ]);
  });
});

it('a replica with both sides of semi-sync switched on counts as one that acknowledges', async () => {
  const sides = ['master', 'slave'].map(side => ({ Variable_name: `rpl_semi_sync_${side}_enabled`, Value: 'ON' }));
  const run = async (sql: string) => (sql.includes('VARIABLES') ? sides : []);
  expect(await semiSync({ run } as Partial<Session> as Session)).toMatchObject({ role: 'secondary' });
});
