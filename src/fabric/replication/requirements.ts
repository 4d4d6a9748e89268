/** What a server must be, and its `[servers]` account must be allowed, to be managed. Pure. */

import { isAtLeast } from './dialect.js';

/** What `requirementIssues` judges. */
export interface ServerFacts {
  readonly version: string;
  /** Global variables by lower-case name; those that the server does not know are missing. */
  readonly variables: ReadonlyMap<string, string>;
  /** Rows of `SHOW GRANTS FOR CURRENT_USER()`. */
  readonly grants: readonly string[];
  /** Of the account's password, in characters. */
  readonly passwordLength: number;
}

interface VariableRule {
  /** Names in different versions: the first that exists counts. */
  readonly names: readonly string[];
  readonly wanted: string;
  readonly ok: (value: string) => boolean;
  readonly why: string;
}

const isOn = (value: string) => value.toUpperCase() === 'ON' || value === '1';

const VARIABLE_RULES: readonly VariableRule[] = [
  { names: ['log_bin'], wanted: 'ON', ok: isOn, why: 'other servers replicate from its binary log' },
  { names: ['gtid_mode'], wanted: 'ON', ok: isOn, why: 'servers find their place in each other by GTIDs' },
  {
    names: ['enforce_gtid_consistency'],
    wanted: 'ON',
    ok: isOn,
    why: 'every transaction must be one that a GTID can name',
  },
  {
    names: ['log_replica_updates', 'log_slave_updates'],
    wanted: 'ON',
    ok: isOn,
    why: 'after a failover it must hand on what it received',
  },
  {
    names: ['server_id'],
    wanted: 'greater than 0',
    ok: value => Number(value) > 0,
    why: 'replication tells servers apart by it',
  },
];

/** The variables that the rules look at. */
export const REQUIRED_VARIABLES: readonly string[] = VARIABLE_RULES.flatMap(rule => rule.names);

/** Each entry names privileges of which one is enough. */
const PRIVILEGES: readonly (readonly string[])[] = [
  ['REPLICATION SLAVE'],
  ['REPLICATION CLIENT'],
  ['PROCESS'],
  ['RELOAD'],
];

/** What 8.0 and newer split SUPER into; each is needed, SUPER replaces all. */
const SUPER_PARTS = ['SYSTEM_VARIABLES_ADMIN', 'CONNECTION_ADMIN', 'REPLICATION_SLAVE_ADMIN'];

const OLDEST = '5.6.8';
const LONGEST_PASSWORD = 32;

/** One sentence, without its full stop, for each thing that keeps the server from being managed; empty: nothing does. */
export function requirementIssues(facts: ServerFacts): string[] {
  return [
    ...versionIssues(facts.version),
    ...variableIssues(facts.variables),
    ...privilegeIssues(facts),
    ...passwordIssues(facts.passwordLength),
  ];
}

function versionIssues(version: string): string[] {
  if (/mariadb/i.test(version)) return [`The server is MariaDB (${version}); MySQL ${OLDEST} or newer is required`];
  return isAtLeast(version, OLDEST) ? [] : [`The server's version is ${version}; ${OLDEST} or newer is required`];
}

function variableIssues(variables: ReadonlyMap<string, string>): string[] {
  return VARIABLE_RULES.flatMap(({ names, wanted, ok, why }) => {
    const name = names.find(each => variables.has(each)) ?? names[0];
    const value = variables.get(name ?? '');
    if (value !== undefined && ok(value)) return [];
    return [`${name} must be ${wanted} but ${value === undefined ? 'does not exist' : `is ${value}`}: ${why}`];
  });
}

function privilegeIssues({ version, grants }: ServerFacts): string[] {
  const held = globalPrivileges(grants);
  if (held.has('ALL PRIVILEGES') || held.has('ALL')) return [];
  const superParts = isAtLeast(version, '8.0.4') ? SUPER_PARTS.map(part => [part, 'SUPER']) : [['SUPER']];
  return [...PRIVILEGES, ...superParts]
    .filter(choices => !choices.some(privilege => held.has(privilege)))
    .map(choices => `The account lacks the privilege ${choices.join(' (or ')}${choices.length > 1 ? ')' : ''} ON *.*`);
}

/** 5.6 cuts a longer one short without a word, so that replicas are refused. */
function passwordIssues(length: number): string[] {
  if (length <= LONGEST_PASSWORD) return [];
  return [`The account's password has ${length} characters; replication takes at most ${LONGEST_PASSWORD} characters`];
}

/** Only what is granted on everything counts: less would fail for one database and not for another. */
function globalPrivileges(grants: readonly string[]): Set<string> {
  const lists = grants.map(row => /^GRANT\s+(.+?)\s+ON\s+\*\.\*\s+TO\s/i.exec(row)?.[1] ?? '');
  return new Set(lists.flatMap(list => list.split(',')).map(privilege => privilege.trim().toUpperCase()));
}
