import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Cluster, startFirstServer } from '../../examples/demo/cluster.js';
import { errantTransactions } from '../../examples/demo/rebuild.js';
import { bringBack } from '../../examples/demo/rejoin.js';
import { Story } from '../../examples/demo/story.js';
import { until } from '../../examples/demo/wait.js';
import { Mysqld } from '../../src/testing.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const children: ChildProcess[] = [];
let folder: string;

beforeAll(async () => {
  if (!existsSync(join(ROOT, 'dist/esm/index.js'))) throw new Error('There is no dist: run `npm run build` first.');
  folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
  // fetched and initialised before anything is timed
  await Mysqld.start();
  await Mysqld.stopAll();
}, 600_000);

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The demo in a process of its own, its output in pipes, its servers' files in a folder of their own. */
function runDemo(): ChildProcess & { stdout: NodeJS.ReadableStream; stderr: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/demo/main.ts'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  children.push(child);
  return child;
}

function serverPids(output: string): number[] {
  return [...output.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Neither servers nor files; whoever removes them after the process needs a moment. */
async function expectNothingLeft(pids: readonly number[]): Promise<void> {
  const left = () => [
    ...pids.filter(isAlive),
    ...readdirSync(folder).filter(name => name.startsWith('mysql2-fabric-')),
  ];
  const deadline = Date.now() + 2_000;
  while (left().length > 0 && Date.now() < deadline) await sleep(20);
  expect(left()).toEqual([]);
}

test('tells its story, keeps its promises and leaves nothing behind', async () => {
  const began = performance.now();
  const child = runDemo();
  const [output, errors, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  const seconds = (performance.now() - began) / 1_000;
  console.log(output.slice(output.indexOf('Summary')));
  expect({ status, errors }, output).toEqual({ status: 0, errors: '' });
  expect(seconds).toBeLessThan(60);
  expect(new Set(serverPids(output)).size).toBe(4);
  await expectNothingLeft(serverPids(output));
  expect(output).toMatch(/kill -9 of the primary db1 \(process \d+\)/);
  expect(output).toMatch(/\+\d+ ms {2}first acknowledged write on the new primary/);
  expect(output).toMatch(/acknowledged writes: \d{3,}/);
  expect(output).toContain('lost writes: 0\n');
  expect(output).toMatch(/held {6}longest write pause, kill -9 of the primary: below 3000 ms: \d+ ms/);
  expect(output).toMatch(/held {6}longest write pause, planned switchover: below 1000 ms: \d+ ms/);
  expect(output.match(/held {6}reads by weight within 2 points/g)).toHaveLength(4);
  expect(output).not.toContain('NOT HELD');
  expect(output).toContain('All held.');
}, 90_000);

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'ends early at %s and leaves nothing behind',
  async (signal, expected) => {
    const child = runDemo();
    const errors = text(child.stderr);
    let output = '';
    child.stdout.on('data', chunk => {
      output += chunk;
    });
    while (!output.includes('writes/s')) await sleep(20);
    const pids = serverPids(output);
    expect(pids).toHaveLength(3);
    expect(pids.every(isAlive)).toBe(true);
    child.kill(signal);
    const [status] = await once(child, 'exit');
    expect(status).toBe(expected);
    expect(await errors).toContain(`${signal}: ending early.`);
    await expectNothingLeft(pids);
  },
  60_000,
);

test('ends with status 1 when whoever reads its output goes away', async () => {
  const child = runDemo();
  const errors = text(child.stderr);
  let output = '';
  child.stdout.on('data', chunk => {
    output += chunk;
  });
  while (!output.includes('writes/s')) await sleep(20);
  child.stdout.removeAllListeners('data');
  (child.stdout as NodeJS.ReadStream).destroy();
  const [status] = await once(child, 'exit');
  expect(status).toBe(1);
  expect(await errors).toContain('The output was closed.');
  await expectNothingLeft(serverPids(output));
}, 60_000);

test('takes an old primary back with a copy of the data when it wrote what nobody received', async () => {
  const { signal } = new AbortController();
  const said: string[] = [];
  const story = new Story({
    interval: 0,
    paint: (_style, line) => line,
    say: line => said.push(line),
    show: () => {},
    end: () => {},
  });
  const first = await startFirstServer();
  const cluster = await Cluster.start(first, sentence => story.hear(sentence));
  try {
    await cluster.form();
    const lost = await cluster.requirePrimary();
    for (const { server } of cluster.servers) if (server !== first) await server.query('STOP REPLICA IO_THREAD');
    // waits for an acknowledgement that never comes
    const write = first.query('CREATE TABLE app.unheard (id INT)').catch(() => {});
    await sleep(200);
    await first.kill();
    await write;
    for (const { server } of cluster.servers) if (server !== first) await server.query('START REPLICA IO_THREAD');
    await cluster.call('threat.report_failure', first.address);
    await until('a new primary', async () => (await cluster.primary())?.uuid !== lost.uuid, { signal });
    await bringBack(lost, { cluster, story, signal });
    expect(said.join('\n')).toContain('has transactions that the primary lacks');
    expect(await errantTransactions(lost, await cluster.requirePrimary())).toBe('');
    expect((await cluster.members()).map(({ status }) => status).sort()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
  } finally {
    await cluster.stop();
    await Promise.all(cluster.servers.map(({ server }) => server.remove()));
  }
}, 60_000);
