/** Packages of the machine's distribution, unpacked into a folder: the system itself is neither read nor changed. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AptSource,
  carriesLibraries,
  type Distribution,
  INDEX_TARGET_FORMAT,
  mysqlSources,
  parseDeb822,
  parseIndexTargets,
  parseOsRelease,
  parseSourcesList,
} from './apt-sources.js';
import { runProgram, whichProgram } from './run-program.js';

/** What to do when nothing can be fetched. */
const OTHER_WAYS =
  'Put mysqld on PATH, name it in MYSQL2_FABRIC_MYSQLD, install it (on macOS: brew install mysql), ' +
  'or run servers with docker compose up and name them in FABRIC_TEST_SERVERS.';

const UPDATE_BOUND = 180_000;
const DOWNLOAD_BOUND = 600_000;

/** A folder with unpacked packages, and the program loader that runs what is in it with the libraries in it. */
export interface Unpacked {
  readonly root: string;
  readonly loader: string;
  readonly libraries: string;
}

/** Which packages to unpack, given the names that start with `prefix`. */
export interface PackageChoice {
  readonly prefix: string;
  choose(names: readonly string[]): readonly string[];
}

/** Fetches the chosen packages with all their libraries and unpacks them into `folder`/root; or says what else can be done. */
export async function unpackPackages(folder: string, choice: PackageChoice): Promise<Unpacked> {
  try {
    return await fetchAndUnpack(folder, choice);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${OTHER_WAYS}`, { cause: error });
  }
}

async function fetchAndUnpack(folder: string, choice: PackageChoice): Promise<Unpacked> {
  await requireTools();
  const distribution = parseOsRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''));
  const architecture = (await runProgram(['dpkg', '--print-architecture'])).trim();
  const config = await privateApt(join(folder, 'apt'), await sourceEntries(distribution, architecture));
  await runProgram(['apt-get', '-c', config, '-qq', 'update'], { timeout: UPDATE_BOUND });
  const names = (await runProgram(['apt-cache', '-c', config, 'pkgnames', choice.prefix])).split(/\s+/);
  const wanted = choice.choose(names);
  if (wanted.length === 0) throw new Error(`The mirror of this machine has no ${choice.prefix}.`);
  const debs = await download(folder, config, wanted);
  const root = await unpack(folder, debs);
  await Promise.all([rm(join(folder, 'apt'), { recursive: true }), rm(join(folder, 'debs'), { recursive: true })]);
  return { root, ...libraryPaths(root, architecture) };
}

async function requireTools(): Promise<void> {
  if (process.platform !== 'linux') throw new Error(`MySQL cannot be fetched on ${process.platform}.`);
  if (!['x64', 'arm64'].includes(process.arch)) throw new Error(`MySQL cannot be fetched for ${process.arch}.`);
  for (const tool of ['apt-get', 'apt-cache', 'dpkg', 'dpkg-deb', 'tar']) {
    if ((await whichProgram(tool)) === undefined) {
      throw new Error(`MySQL cannot be fetched here: there is no ${tool}.`);
    }
  }
}

async function sourceEntries(distribution: Distribution, architecture: string): Promise<string[]> {
  if (!['debian', 'ubuntu'].includes(distribution.id)) {
    throw new Error(`MySQL can be fetched on Debian and Ubuntu, not on '${distribution.id}'.`);
  }
  const signedBy = ['gpg', 'pgp']
    .map(ending => `/usr/share/keyrings/${distribution.id}-archive-keyring.${ending}`)
    .find(path => existsSync(path));
  const options = { architecture, ...(signedBy ? { signedBy } : {}) };
  const entries =
    mysqlSources(await fetchedSources(), distribution, options) ??
    mysqlSources(await writtenSources('/etc/apt'), distribution, options);
  if (entries === undefined) throw new Error(`No ${distribution.id} mirror is configured in /etc/apt.`);
  return entries;
}

async function fetchedSources(): Promise<AptSource[]> {
  const text = await runProgram(['apt-get', 'indextargets', '--format', INDEX_TARGET_FORMAT, 'Created-By: Packages']);
  return parseIndexTargets(text);
}

/** Before the first `apt-get update`, as in a fresh container, only the files know the mirror. */
async function writtenSources(folder: string): Promise<AptSource[]> {
  const parts = join(folder, 'sources.list.d');
  const files = await readdir(parts).catch(() => []);
  const paths = [join(folder, 'sources.list'), ...files.sort().map(name => join(parts, name))];
  const found: AptSource[] = [];
  for (const path of paths) {
    if (!/\.(list|sources)$/.test(path)) continue;
    const text = await readFile(path, 'utf8').catch(() => '');
    found.push(...(path.endsWith('.sources') ? parseDeb822(text) : parseSourcesList(text)));
  }
  return found;
}

/** An apt with lists, cache and an empty package status of its own; answers its configuration file. */
async function privateApt(folder: string, entries: readonly string[]): Promise<string> {
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'log', 'none']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  await writeFile(join(folder, 'status'), '');
  await writeFile(join(folder, 'sources.list'), `${entries.join('\n')}\n`);
  const config = join(folder, 'apt.conf');
  await writeFile(config, aptConfiguration(folder));
  return config;
}

/** Read after the machine's own configuration, whose proxies and credentials stay in force. */
function aptConfiguration(folder: string): string {
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': join(folder, 'none'),
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': join(folder, 'none'),
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Log': join(folder, 'log'),
    // the unprivileged user that apt would change to cannot write here
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': '0',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  };
  // hooks act on the system, for example by emptying its package cache
  const hooks = ['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'];
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  return [...lines, ...hooks.map(hook => `#clear ${hook};`), ''].join('\n');
}

async function download(folder: string, config: string, wanted: readonly string[]): Promise<string[]> {
  const plan = await runProgram(['apt-get', '-c', config, '-y', '--print-uris', 'install', ...wanted]);
  const packages = [...plan.matchAll(/^'[^']*' ([^_ ]+)_\S+\.deb /gm)].flatMap(match => match[1] ?? []);
  const needed = packages.filter(name => carriesLibraries(name) || wanted.includes(name));
  const debs = join(folder, 'debs');
  await mkdir(debs);
  await runProgram(['apt-get', '-c', config, '-qq', 'download', ...needed], { cwd: debs, timeout: DOWNLOAD_BOUND });
  return (await readdir(debs)).map(name => join(debs, name));
}

async function unpack(folder: string, debs: readonly string[]): Promise<string> {
  const root = join(folder, 'root');
  for (const name of ['lib', 'lib64', 'bin', 'sbin']) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    // as on the system: older packages still say /lib, newer ones /usr/lib
    await symlink(`usr/${name}`, join(root, name));
  }
  const script =
    'set -e; root=$1; shift; for deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" ' +
    "--keep-directory-symlink --no-same-owner --exclude='./usr/share/doc' --exclude='./usr/share/man'; done";
  await runProgram(['/bin/sh', '-c', script, 'sh', root, ...debs], { timeout: DOWNLOAD_BOUND });
  return root;
}

function libraryPaths(root: string, architecture: string): { loader: string; libraries: string } {
  const [triplet, loader] =
    architecture === 'arm64'
      ? ['aarch64-linux-gnu', 'ld-linux-aarch64.so.1']
      : ['x86_64-linux-gnu', 'ld-linux-x86-64.so.2'];
  const libraries = join(root, 'usr/lib', triplet);
  return { loader: join(libraries, loader), libraries };
}
