import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, DEFAULT_SECTION, type IniFile, parseIni } from './config-ini.js';
import {
  CONFIG_KEYS,
  type ConfigKey,
  type ConfigValue,
  configKeyOf,
  knownNames,
  originalKeyNote,
  variableOf,
} from './config-keys.js';
import type { LogLevel } from './log.js';
import { parseAddress } from './model.js';
import { XMLRPC_PORT } from './option-table.js';
import type { FabricNodeOptions, OptionError } from './options.js';

/** The configuration of a node and of those who call it: what the command line says, then the environment, then fabric.cfg, then the defaults. */

export interface Config {
  /** The file that was read; null: none. */
  readonly file: string | null;
  /** Where one was looked for that was not named. */
  readonly usualFiles: readonly string[];
  /** For createFabric, which checks that nothing is missing. */
  readonly options: FabricNodeOptions;
  /** Where and as whom to call the node. */
  readonly caller: {
    readonly host: string;
    readonly port: number;
    /** Without authentication no account is needed. */
    readonly open: boolean;
    readonly user: string;
    readonly password: string | undefined;
    /** Files; one of them: the node speaks HTTPS. */
    readonly sslCa: string | undefined;
    readonly sslCert: string | undefined;
  };
  readonly logging: { readonly level: LogLevel /** null: stderr. */; readonly file: string | null };
  /** What is in there without an effect. For the log. */
  readonly notes: readonly string[];
}

export interface ConfigSources {
  /** The file to read; not given: the first of the usual ones that there is. */
  readonly file?: string | undefined;
  /** `section.key=value` */
  readonly params?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Names the file, where `file` is not given. */
const CONFIG_VARIABLE = 'MYSQL2_FABRIC_CONFIG';
const USUAL_FILES = ['fabric.cfg', '/etc/mysql/fabric.cfg'] as const;

/** One value as text, with where it stands. */
interface Setting {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** `fabric.cfg:12`, or the name of the variable, or `--param`. */
  readonly at: string;
  /** Where its relative paths begin. */
  readonly dir: string;
}

/** @throws ConfigError that names the file and line, the variable or the parameter. */
export function loadConfig(sources: ConfigSources): Config {
  const path = findFile(sources);
  const ini = path === null ? null : parseIni(readText(path, 'The configuration file'), path);
  const notes: string[] = [...(ini?.notes ?? [])];
  const levels = [
    path === null || ini === null ? [] : fileSettings(ini, path),
    environmentSettings(sources),
    (sources.params ?? []).map(param => paramSetting(param, sources.cwd)),
  ];
  const given = new Map<string, Setting>();
  for (const level of levels) {
    for (const setting of withoutSecretFiles(level)) {
      if (isKnown(setting, notes)) given.set(`${setting.section}.${setting.key}`, setting);
    }
  }
  implyStorage(given);
  noteSyslog(given, notes);
  const values = new Map([...given].map(([name, setting]) => [name, checkedValue(setting)]));
  const sections = new Set([...(ini?.sections ?? []), ...[...given.values()].map(({ section }) => section)]);
  return {
    file: path,
    usualFiles: usualFiles(sources),
    options: nodeOptions(values, sections),
    caller: callerOf(values),
    logging: loggingOf(values, ini, path === null ? sources.cwd : dirname(path)),
    notes,
  };
}

function findFile(sources: ConfigSources): string | null {
  const named = sources.file ?? (sources.env[CONFIG_VARIABLE] || undefined);
  if (named !== undefined) return resolve(sources.cwd, named);
  return usualFiles(sources).find(usual => existsSync(usual)) ?? null;
}

function usualFiles({ cwd }: ConfigSources): readonly string[] {
  return USUAL_FILES.map(usual => resolve(cwd, usual));
}

/** What to say with a setting that is missing: maybe the file was not found that has it. */
export function unfound({ file, usualFiles }: Pick<Config, 'file' | 'usualFiles'>): string {
  if (file !== null) return '';
  return `There is no configuration file: neither --config nor ${CONFIG_VARIABLE} names one, and it is not in ${usualFiles.join(' or ')}.`;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new ConfigError(`${what} ${path} cannot be read (${code}).`, { cause });
  }
}

/** A section also has what [DEFAULT] says of its keys; what else is there are names for `%(...)s`. */
function fileSettings({ sections, entries }: IniFile, file: string): Setting[] {
  const dir = dirname(file);
  const settings = entries.map(({ line, ...entry }) => ({ ...entry, at: `${file}:${line}`, dir }));
  const own = settings.filter(({ section }) => section !== DEFAULT_SECTION);
  const names = new Set(own.map(({ section, key }) => `${section}.${key}`));
  const inherited = [...sections].flatMap(section =>
    settings
      .filter(entry => entry.section === DEFAULT_SECTION && CONFIG_KEYS.has(`${section}.${entry.key}`))
      .filter(entry => !names.has(`${section}.${entry.key}`))
      .map(entry => ({ ...entry, section })),
  );
  return [...inherited, ...own];
}

/** An empty variable is as good as none. One that begins like ours and is not has a slip of the pen in it. */
function environmentSettings({ env, cwd }: ConfigSources): Setting[] {
  const names = knownNames();
  const known = new Set(names.map(([section, key]) => variableOf(section, key)));
  const beginnings = [...new Set(names.map(([section]) => variableOf(section, '')))];
  const stranger = Object.keys(env).find(name => !known.has(name) && beginnings.some(start => name.startsWith(start)));
  if (stranger !== undefined) throw new ConfigError(`${stranger}: there is no such setting.`);
  return names.flatMap(([section, key]) => {
    const at = variableOf(section, key);
    const value = env[at];
    return value === undefined || value === '' ? [] : [{ section, key, value, at, dir: cwd }];
  });
}

function paramSetting(param: string, cwd: string): Setting {
  const [, section, key, value] = /^\s*([^=]+)\.([^=.]+?)\s*=(.*)$/s.exec(param) ?? [];
  if (section === undefined || key === undefined || value === undefined) {
    throw new ConfigError(`--param must be section.key=value, for example --param connector.ttl=5.`);
  }
  const setting = {
    section: section.toLowerCase(),
    key: key.toLowerCase(),
    value: value.trim(),
    at: '--param',
    dir: cwd,
  };
  if (CONFIG_KEYS.get(`${setting.section}.${setting.key}`)?.secret || setting.key.endsWith('password')) {
    throw new ConfigError(
      `--param ${setting.section}.${setting.key}: everybody on this machine can read a command line. ` +
        `Put it in a file and name that: --param ${setting.section}.${setting.key}_file=<path>.`,
    );
  }
  return setting;
}

/** `password_file` becomes the `password` that the file holds. */
function withoutSecretFiles(level: readonly Setting[]): Setting[] {
  return level.map(setting => {
    const { section, key, value, at, dir } = setting;
    const secret = secretInFile(section, key);
    if (secret === null || value === '') return setting;
    if (level.some(other => other.section === section && other.key === secret && other.value !== '')) {
      throw new ConfigError(`${at}: [${section}] has both ${secret} and ${key}; give one.`);
    }
    const text = readText(resolve(dir, value), `${at}: [${section}] ${key}`);
    return { ...setting, key: secret, value: text.replace(/\r?\n$/, '') };
  });
}

/** The secret whose file this key names, or null. */
function secretInFile(section: string, key: string): string | null {
  const [, secret] = /^(.+)_file$/.exec(key) ?? [];
  return CONFIG_KEYS.get(`${section}.${secret}`)?.secret ? (secret ?? null) : null;
}

/** Whether it has an effect. What only the original has is noted, everything else is an error. */
function isKnown({ section, key, value, at }: Setting, notes: string[]): boolean {
  // In the original's file, empty means not set.
  if (CONFIG_KEYS.has(`${section}.${key}`) || secretInFile(section, key) !== null) return value !== '';
  const note = originalKeyNote(section, key);
  if (note === undefined) throw new ConfigError(`${at}: there is no setting [${section}] ${key}.`);
  if (value !== '') notes.push(`${at}: [${section}] ${key} ${note}.`);
  return false;
}

const FLAGS: Readonly<Record<string, boolean>> = {
  ...{ yes: true, true: true, on: true, 1: true },
  ...{ no: false, false: false, off: false, 0: false },
};

function checkedValue({ section, key, value, at, dir }: Setting): ConfigValue {
  const row = CONFIG_KEYS.get(`${section}.${key}`) as ConfigKey;
  const converted = row.file ? resolve(dir, value) : convert(row, value);
  const problem = typeof converted === 'object' ? converted.problem : row.problem(converted);
  if (problem !== null) throw new ConfigError(`${at}: [${section}] ${key} ${problem}.`);
  return converted as ConfigValue;
}

function convert({ kind }: ConfigKey, value: string): ConfigValue | { readonly problem: string } {
  if (kind === 'text') return value;
  if (kind === 'boolean') return FLAGS[value.toLowerCase()] ?? { problem: 'must be yes or no' };
  return /^[+-]?\d+(\.\d+)?$/.test(value) ? Number(value) : { problem: 'must be a number' };
}

/**
 * What is named tells where the state is, rather than forgetting it in memory. The original kept it on a MySQL server and nowhere else: its file
 * has no type, and names of that server what is not as usual.
 */
function implyStorage(given: Map<string, Setting>): void {
  const imply = (value: string, keys: readonly string[]) => {
    if (given.has('storage.type')) return;
    const named = keys.map(key => given.get(`storage.${key}`)).find(Boolean);
    if (named) given.set('storage.type', { ...named, key: 'type', value });
  };
  imply('mysql', ['address', 'user', 'password', 'database']);
  imply('sqlite', ['file']);
}

/** The original could write there; its file must not keep anybody from calling a node. */
function noteSyslog(given: ReadonlyMap<string, Setting>, notes: string[]): void {
  const url = given.get('logging.url');
  if (!url || !SYSLOG.test(url.value)) return;
  notes.push(
    `${url.at}: [logging] url ${url.value} has no effect: this node logs to stderr or to a file, and now to stderr.`,
  );
}

const SYSLOG = /^syslog:/i;

type Tree = { [name: string]: ConfigValue | Tree };

/** A section that is there counts, even an empty one: it is what turns the MySQL protocol on. */
function nodeOptions(values: ReadonlyMap<string, ConfigValue>, sections: ReadonlySet<string>): FabricNodeOptions {
  const tree: Tree = {};
  for (const [name, { section, option }] of CONFIG_KEYS) {
    if (option === null || !sections.has(section)) continue;
    let node = tree;
    for (const part of option.slice(0, -1)) {
      node[part] ??= {};
      node = node[part] as Tree;
    }
    const value = values.get(name);
    if (value !== undefined) node[option.at(-1) as string] = value;
  }
  return tree as unknown as FabricNodeOptions;
}

function callerOf(values: ReadonlyMap<string, ConfigValue>): Config['caller'] {
  const value = (key: string) =>
    values.get(`protocol.xmlrpc.${key}`) ?? CONFIG_KEYS.get(`protocol.xmlrpc.${key}`)?.default;
  const parsed = parseAddress(String(value('address')), XMLRPC_PORT, true);
  const { host, port } = 'value' in parsed ? parsed.value : { host: '127.0.0.1', port: XMLRPC_PORT };
  const text = (key: string) => {
    const given = values.get(`protocol.xmlrpc.${key}`);
    return given === undefined ? undefined : String(given);
  };
  return {
    host: LOCAL[host] ?? host,
    port,
    open: value('disable_authentication') === true,
    user: String(value('user')),
    password: text('password'),
    sslCa: text('ssl_ca'),
    sslCert: text('ssl_cert'),
  };
}

/** Who listens everywhere is called here. */
const LOCAL: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

function loggingOf(values: ReadonlyMap<string, ConfigValue>, ini: IniFile | null, dir: string): Config['logging'] {
  const level = String(values.get('logging.level') ?? 'INFO').toUpperCase() as LogLevel;
  const url = String(values.get('logging.url') ?? 'stderr');
  if (/^stderr$/i.test(url) || SYSLOG.test(url)) return { level, file: null };
  if (/^file:\/\/\//i.test(url)) return { level, file: fileURLToPath(url) };
  const logdir = ini?.entries.find(({ section, key }) => section === DEFAULT_SECTION && key === 'logdir')?.value ?? '';
  return { level, file: resolve(dir, logdir, url.replace(/^file:(\/\/)?/i, '')) };
}

/** What needs a complete configuration; what is missing is named in the words of the file. @throws ConfigError */
export function complete<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if ((error as Partial<OptionError>).code !== 'FABRIC_BAD_OPTION') throw error;
    throw missing(error as OptionError);
  }
}

function missing(error: OptionError): ConfigError {
  const row = configKeyOf(error.option);
  if (row?.default !== undefined || !row) return new ConfigError(error.message, { cause: error });
  const { section, key, secret } = row;
  const keys = secret ? [key, `${key}_file`] : [key];
  return new ConfigError(
    `[${section}] ${key} must be given: ${keys.join(' or ')} in the configuration file, ` +
      `or ${keys.map(name => variableOf(section, name)).join(' or ')} in the environment.`,
    { cause: error },
  );
}
