import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Mysqld, testServers } from '../../src/testing.js';

const SCRIPT = `
import { startMysqlds } from './src/testing.ts';
const servers = await startMysqlds(2);
console.log(JSON.stringify({ pids: servers.map(server => server.pid), dirs: servers.map(server => server.datadir) }));
setTimeout(() => {}, 60_000);
`;

interface Report {
  pids: number[];
  dirs: string[];
}

const children: ChildProcess[] = [];

/** A process of its own, with two servers, after `then` is added to what it runs. */
async function processWithServers(
  then = '',
  stderr: 'inherit' | 'ignore' = 'inherit',
): Promise<{ child: ChildProcess; report: Report }> {
  const args = ['--import', 'tsx', '--input-type=module', '-e', SCRIPT + then];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', stderr] });
  children.push(child);
  const [line] = await once(createInterface(child.stdout as NodeJS.ReadableStream), 'line');
  return { child, report: JSON.parse(line) };
}

async function expectNothingLeft({ pids, dirs }: Report): Promise<void> {
  const deadline = Date.now() + 5_000;
  const left = () => [...pids.filter(isAlive), ...dirs.filter(dir => existsSync(dir))];
  while (left().length > 0 && Date.now() < deadline) await sleep(20);
  expect(left()).toEqual([]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

beforeAll(async () => {
  // fetched and initialised before anything is timed
  await Mysqld.start();
  await Mysqld.stopAll();
}, 600_000);

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

test.each(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  'servers end with a process that gets %s',
  async signal => {
    const { child, report } = await processWithServers();
    expect(report.pids.every(isAlive)).toBe(true);
    child.kill(signal);
    const [code, by] = await once(child, 'exit');
    expect([code, by]).toEqual([null, signal]);
    await expectNothingLeft(report);
  },
);

test('a paused server ends, too', async () => {
  const { child, report } = await processWithServers('servers[0].pause();');
  child.kill('SIGKILL');
  await expectNothingLeft(report);
});

test.each([
  ['process.exit(7);', 7],
  ['throw new Error("as it should");', 1],
])('servers end with a process that runs %s', async (then, expected) => {
  const { child, report } = await processWithServers(then, 'ignore');
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  expect(code).toBe(expected);
  await expectNothingLeft(report);
});

test('servers named by the environment are reset and cannot be killed', async () => {
  const [a, b] = [await Mysqld.start(), await Mysqld.start()];
  await a.query('CREATE TABLE app.old (id INT)');
  await a.query('SET GLOBAL read_only = ON');
  vi.stubEnv('FABRIC_TEST_SERVERS', `${a.address}, ${b.address}`);
  try {
    const [server] = await testServers(1);
    expect(server).toMatchObject({ managed: false, address: a.address, version: a.version });
    expect(await a.query('SELECT @@read_only r, @@gtid_executed g')).toEqual([{ r: 0, g: '' }]);
    expect(await server?.query('SHOW TABLES IN app')).toEqual([]);
    await expect(server?.kill()).rejects.toThrow('FABRIC_TEST_SERVERS names it');
    expect(() => server?.pause()).toThrow('FABRIC_TEST_SERVERS names it');
    await server?.remove();
    expect(a.running).toBe(true);
    await expect(testServers(3)).rejects.toThrow('names 2 servers; this test needs 3');
  } finally {
    vi.unstubAllEnvs();
    await Mysqld.stopAll();
  }
});
