import { LOG_LEVELS } from './log.js';
import { OPTION_TABLE, type OptionRow } from './option-table.js';

/** The keys of fabric.cfg: those of the option table in the original's spelling, the log's, and those of the original that mean nothing here. */

export type ConfigValue = string | number | boolean;

export interface ConfigKey {
  /** As in the file: `failure_tracking`, `protocol.xmlrpc`. */
  readonly section: string;
  readonly key: string;
  readonly kind: 'text' | 'number' | 'boolean';
  /** Where `createFabric` takes it; null: the command line's own. */
  readonly option: readonly string[] | null;
  /** May be given as the name of a file that holds it, `<key>_file`; never on the command line. */
  readonly secret: boolean;
  /** The name of a file; a relative one begins at the folder of the configuration. */
  readonly file: boolean;
  readonly doc: string;
  readonly default: ConfigValue | undefined;
  /** What is wrong with a value, or null. */
  readonly problem: (value: ConfigValue) => string | null;
}

const snake = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);

const fromOptions: readonly ConfigKey[] = Object.entries(OPTION_TABLE).flatMap(([section, rows]) =>
  Object.entries(rows as Readonly<Record<string, OptionRow<unknown>>>).map(([name, row]) => ({
    section: snake(section),
    key: snake(name),
    kind: kindOf(row.default),
    option: [...section.split('.'), name],
    secret: name.toLowerCase().endsWith('password'),
    file: row.file === true,
    doc: row.doc,
    default: row.default as ConfigValue | undefined,
    problem: (value: ConfigValue) => row.check(value)?.[1] ?? null,
  })),
);

function kindOf(fallback: unknown): ConfigKey['kind'] {
  return typeof fallback === 'number' || typeof fallback === 'boolean' ? (typeof fallback as 'number') : 'text';
}

const LOGGING = { section: 'logging', kind: 'text', option: null, secret: false, file: false } as const;

const logging: readonly ConfigKey[] = [
  {
    ...LOGGING,
    key: 'level',
    doc: `From which level on: ${LOG_LEVELS.join(', ')}.`,
    default: 'INFO',
    problem: value =>
      (LOG_LEVELS as readonly string[]).includes(String(value).toUpperCase())
        ? null
        : `must be one of ${LOG_LEVELS.join(', ')}`,
  },
  {
    ...LOGGING,
    key: 'url',
    doc: 'stderr, or file: and a path; a relative one is below logdir of [DEFAULT].',
    default: 'stderr',
    problem: value => (/^(stderr$|file:.|syslog:)/i.test(String(value)) ? null : 'must be stderr or file:<path>'),
  },
];

const nameOf = ({ section, key }: Pick<ConfigKey, 'section' | 'key'>): string => `${section}.${key}`;

/** By `section.key`. */
export const CONFIG_KEYS: ReadonlyMap<string, ConfigKey> = new Map(
  [...fromOptions, ...logging].map(row => [nameOf(row), row]),
);

/** Taken so that a file of the original's works, and noted in the log. */
const ORIGINAL: Readonly<Record<string, readonly string[]>> = {
  storage: [
    'address',
    'user',
    'password',
    'database',
    'auth_plugin',
    'connection_timeout',
    'connection_attempts',
    'connection_delay',
  ],
  servers: ['backup_user', 'backup_password', 'restore_user', 'restore_password'],
  'protocol.xmlrpc': ['threads', 'realm'],
  'protocol.mysql': ['ssl_ca'],
  executor: ['executors'],
  sharding: ['mysqldump_program', 'mysqlclient_program', 'prune_limit'],
  statistics: ['prune_time'],
  failure_tracking: ['prune_time'],
  client: ['password'],
};

/** What the log says when one of them is given; undefined: the original has no such key. */
export function originalKeyNote(section: string, key: string): string | undefined {
  return ORIGINAL[section]?.includes(key) ? 'has no effect: this node does not have it' : undefined;
}

/** All names there are: for the environment, whose variables are looked up by name. */
export function knownNames(): readonly (readonly [section: string, key: string])[] {
  const own = [...CONFIG_KEYS.values()].flatMap(({ section, key, secret }) =>
    [key, ...(secret ? [`${key}_file`] : [])].map(name => [section, name] as const),
  );
  const original = Object.entries(ORIGINAL).flatMap(([section, keys]) => keys.map(key => [section, key] as const));
  return [...own, ...original.filter(([section, key]) => !CONFIG_KEYS.has(`${section}.${key}`))];
}

/** `protocol.xmlrpc`, `address` -> MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS. */
export function variableOf(section: string, key: string): string {
  return `MYSQL2_FABRIC_${section}_${key}`.toUpperCase().replaceAll('.', '_');
}

/** The words of the file for an option of createFabric: `failureTracking.detections` -> `[failure_tracking] detections`. */
export function configKeyOf(option: string): ConfigKey | undefined {
  return [...CONFIG_KEYS.values()].find(key => key.option?.join('.') === option);
}
