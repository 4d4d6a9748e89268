/** Finds the mysqld to run: named, installed, fetched earlier, or fetched now. */
import { existsSync } from 'node:fs';
import { readdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { buildOnce } from './build-once.js';
import { type FetchedServer, fetch56, fetchNewest } from './fetch-mysql.js';
import { runProgram, whichProgram } from './run-program.js';
import { versionNumber } from './server-options.js';

/** Which server is wanted: '9.7' takes the newest one that is found or can be fetched, '5.6' a MySQL 5.6. */
export type ServerVersion = '9.7' | '5.6';

/** The versions that may be asked for. */
export const SERVER_VERSIONS: readonly ServerVersion[] = ['9.7', '5.6'];

/** A mysqld, and what it takes to run it. */
export interface ServerProgram {
  /** As the program itself says it, for example '9.7.4'. */
  readonly version: string;
  /** What is executed, before any option. */
  readonly command: readonly string[];
  /** Options that it needs to find its own files. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The folder with the SQL that makes the system tables; only MySQL 5.6 needs it. */
  readonly share?: string;
}

const STAMP = 'fetched.json';

/** The version asked for, or FABRIC_TEST_MYSQL, or '9.7'. Throws a RangeError for a version that is not offered. */
export function chosenVersion(version?: string): ServerVersion {
  const wanted = version ?? (process.env.FABRIC_TEST_MYSQL || '9.7');
  const known = SERVER_VERSIONS.find(name => name === wanted);
  if (known === undefined)
    throw new RangeError(`MySQL ${wanted} is not offered; there are: ${SERVER_VERSIONS.join(', ')}`);
  return known;
}

/** The folder that servers and templates are kept in: `.mysql` beside the nearest package.json above the working directory. */
export function serversFolder(start = process.cwd()): string {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return join(folder, '.mysql');
    if (folder === dirname(folder)) return join(resolve(start), '.mysql');
  }
}

/**
 * The server program, in this order: MYSQL2_FABRIC_MYSQLD, `mysqld` on PATH, fetched earlier, fetched now.
 * Rejects, saying what else can be done, when there is none and none can be fetched.
 */
export async function findServerProgram(wanted: ServerVersion): Promise<ServerProgram> {
  return (await namedProgram(wanted)) ?? (await installedProgram(wanted)) ?? (await fetchedProgram(wanted));
}

async function namedProgram(wanted: ServerVersion): Promise<ServerProgram | undefined> {
  const path = process.env.MYSQL2_FABRIC_MYSQLD;
  if (!path) return undefined;
  const program = await describeProgram(path).catch(error => {
    throw new Error(`MYSQL2_FABRIC_MYSQLD=${path} is not a MySQL server that runs`, { cause: error });
  });
  return isWanted(program, wanted) ? program : undefined;
}

async function installedProgram(wanted: ServerVersion): Promise<ServerProgram | undefined> {
  const path = await whichProgram('mysqld');
  if (path === undefined) return undefined;
  // MariaDB's, or one that does not run: as if there were none
  const program = await describeProgram(path).catch(() => undefined);
  return program && isWanted(program, wanted) ? program : undefined;
}

/** '9.7' takes whatever MySQL is there; '5.6' must be one. */
function isWanted(program: ServerProgram, wanted: ServerVersion): boolean {
  return wanted !== '5.6' || program.version.startsWith('5.6.');
}

async function describeProgram(path: string): Promise<ServerProgram> {
  const version = readVersion(await runProgram([path, '--no-defaults', '--version']));
  const base = dirname(dirname(await realpath(path)));
  const share = ['share', 'share/mysql'].map(name => join(base, name)).find(isShare);
  return { version, command: [path], args: [], env: {}, ...(share ? { share } : {}) };
}

function isShare(folder: string): boolean {
  return existsSync(join(folder, 'mysql_system_tables.sql'));
}

/** '... Ver 9.7.4-2 for Linux ...' -> '9.7.4'. */
function readVersion(text: string): string {
  const version = /Ver (\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (version === undefined || /mariadb/i.test(text)) throw new Error(`not a MySQL server: ${text.trim()}`);
  return version;
}

async function fetchedProgram(wanted: ServerVersion): Promise<ServerProgram> {
  const root = serversFolder();
  return await buildOnce({
    root,
    lock: `mysql-${wanted}`,
    find: () => fetchedEarlier(root, wanted),
    build: async folder => {
      const fetched = wanted === '5.6' ? await fetch56(folder) : await fetchNewest(folder);
      const { command, args, env } = runFetched(folder, fetched);
      const version = readVersion(await runProgram([...command, '--no-defaults', ...args, '--version'], { env }));
      await writeFile(join(folder, STAMP), `${JSON.stringify({ version, ...fetched }, null, 2)}\n`);
      return `mysql-${version}`;
    },
  });
}

async function fetchedEarlier(root: string, wanted: ServerVersion): Promise<ServerProgram | undefined> {
  const names = (await readdir(root).catch(() => [])).filter(name => /^mysql-\d/.test(name));
  const found: ServerProgram[] = [];
  for (const name of names) {
    const stamp = await readFile(join(root, name, STAMP), 'utf8').catch(() => undefined);
    if (stamp === undefined) continue;
    const fetched = JSON.parse(stamp) as FetchedServer & { version: string };
    found.push({ version: fetched.version, ...runFetched(join(root, name), fetched) });
  }
  return found
    .filter(program => program.version.startsWith('5.6.') === (wanted === '5.6'))
    .sort((a, b) => versionNumber(b.version) - versionNumber(a.version))[0];
}

function runFetched(folder: string, fetched: FetchedServer): Omit<ServerProgram, 'version'> {
  const program = join(folder, fetched.program);
  const libraries = fetched.libraries.map(path => join(folder, path)).join(':');
  const share = fetched.share ? join(folder, fetched.share) : undefined;
  // the server finds its plugins and messages from the name it is called by, so the loader must pass the real one
  const loader = fetched.loader && [
    join(folder, fetched.loader),
    '--library-path',
    libraries,
    '--argv0',
    program,
    program,
  ];
  return {
    command: loader || [program],
    args: share ? [`--basedir=${folder}`, `--lc-messages-dir=${share}`, `--character-sets-dir=${share}/charsets`] : [],
    env: loader ? {} : { LD_LIBRARY_PATH: libraries },
    ...(share ? { share } : {}),
  };
}
