import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildOnce } from '../../../src/testing/build-once.js';

let root: string;
let builds: number;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'build-once-'));
  builds = 0;
});

afterEach(async () => await rm(root, { recursive: true }));

function thing(timeout = 5_000): Promise<string> {
  const file = join(root, 'thing/stamp');
  return buildOnce({
    root,
    lock: 'thing',
    timeout,
    find: async () => (existsSync(file) ? await readFile(file, 'utf8') : undefined),
    build: async folder => {
      builds += 1;
      await sleep(100);
      await writeFile(join(folder, 'stamp'), 'built');
      return 'thing';
    },
  });
}

test('many askers, one build, nothing left over', async () => {
  expect(await Promise.all(Array.from({ length: 8 }, () => thing()))).toEqual(Array(8).fill('built'));
  expect(builds).toBe(1);
  expect(await readdir(root)).toEqual(['thing']);
});

test('a lock of a dead process is no obstacle, and its leftovers go', async () => {
  await mkdir(join(root, 'building-thing-old'));
  // no process has this id: it is above the kernel's limit
  await writeFile(join(root, 'lock-thing'), JSON.stringify({ pid: 2 ** 30, host: hostname() }));
  expect(await thing()).toBe('built');
  expect(await readdir(root)).toEqual(['thing']);
});

test('a lock without a heartbeat is no obstacle, whatever it says', async () => {
  await writeFile(join(root, 'lock-thing'), JSON.stringify({ pid: 1, host: 'elsewhere' }));
  await utimes(join(root, 'lock-thing'), 0, 0);
  expect(await thing()).toBe('built');
});

test('a living lock is waited for, within a bound', async () => {
  await writeFile(join(root, 'lock-thing'), JSON.stringify({ pid: process.pid, host: hostname() }));
  await expect(thing(200)).rejects.toThrow('gave up after 200 ms');
  expect(builds).toBe(0);
});

test('an unfinished folder of that name is replaced', async () => {
  await mkdir(join(root, 'thing/half'), { recursive: true });
  expect(await thing()).toBe('built');
  expect(await readdir(join(root, 'thing'))).toEqual(['stamp']);
});

test('a failed build leaves nothing and can be tried again', async () => {
  const failing = buildOnce({
    root,
    lock: 'x',
    find: async () => undefined,
    build: () => Promise.reject(new Error('no')),
  });
  await expect(failing).rejects.toThrow('no');
  expect(await readdir(root)).toEqual([]);
});
