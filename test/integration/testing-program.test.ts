import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  chosenVersion,
  findServerProgram,
  type ServerProgram,
  serversFolder,
} from '../../src/testing/server-program.js';
import { Mysqld } from '../../src/testing.js';

const version = chosenVersion();
const home = process.cwd();
let found: ServerProgram;
let folder: string;

beforeAll(async () => {
  found = await findServerProgram(version);
}, 600_000);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'program-'));
  vi.stubEnv('MYSQL2_FABRIC_MYSQLD', '');
});

afterEach(async () => {
  process.chdir(home);
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

afterAll(async () => await Mysqld.stopAll());

/** A program of its own that runs the real server. */
async function serverScript(path: string): Promise<string> {
  const words = [...found.command, '--no-defaults', ...found.args].map(word => `'${word}'`);
  const environment = Object.entries(found.env).map(([name, value]) => `export ${name}='${value}'`);
  const script = ['#!/bin/sh', ...environment, '[ "$1" = --no-defaults ] && shift', `exec ${words.join(' ')} "$@"`, ''];
  await writeFile(path, script.join('\n'), { mode: 0o755 });
  return path;
}

test('the program that the environment names comes first', async () => {
  const path = await serverScript(join(folder, 'my-server'));
  vi.stubEnv('MYSQL2_FABRIC_MYSQLD', path);
  expect(await findServerProgram('9.7')).toMatchObject({ command: [path], version: found.version });
  vi.stubEnv('MYSQL2_FABRIC_MYSQLD', join(folder, 'missing'));
  await expect(findServerProgram('9.7')).rejects.toThrow('missing is not a MySQL server that runs');
});

test('a mysqld on PATH comes before fetched ones, and serves', async () => {
  const path = await serverScript(join(folder, 'mysqld'));
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  expect((await findServerProgram('9.7')).command).toEqual([path]);
  if (version === '5.6') return;
  const server = await Mysqld.start();
  expect(await server.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await server.remove();
});

test('another make of mysqld on PATH is passed over', async () => {
  await writeFile(join(folder, 'mysqld'), '#!/bin/sh\necho "mysqld  Ver 10.11.6-MariaDB for Linux"\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  expect(await findServerProgram(version)).toEqual(found);
});

test('servers are kept beside the nearest package.json', async () => {
  await mkdir(join(folder, 'a/b'), { recursive: true });
  await writeFile(join(folder, 'a/package.json'), '{}');
  expect(serversFolder(join(folder, 'a/b'))).toBe(join(folder, 'a/.mysql'));
});

test('where nothing can be fetched, the error says what else can be done', async () => {
  await writeFile(join(folder, 'package.json'), '{}');
  process.chdir(folder);
  vi.stubEnv('PATH', join(folder, 'nothing'));
  const failure = expect(findServerProgram('9.7')).rejects;
  await failure.toThrow(
    /there is no apt-get(.|\n)*on PATH(.|\n)*MYSQL2_FABRIC_MYSQLD(.|\n)*brew(.|\n)*docker compose up/,
  );
});
