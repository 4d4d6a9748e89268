import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { Mysqld } from '../../src/testing.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const children: ChildProcess[] = [];

/** The demo in a process of its own, its output in pipes. */
function runDemo(): ChildProcess & { stdout: NodeJS.ReadableStream; stderr: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/demo/main.ts'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

/** The processes whose command line tells that they are servers of the process with this id. */
function serversOf(pid: number | undefined): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(id => id > 0 && commandLine(id).includes(`mysql2-fabric-${pid}-`));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

beforeAll(async () => {
  if (!existsSync(`${ROOT}/dist/esm/index.js`)) throw new Error('There is no dist: run `npm run build` first.');
  // fetched and initialised before anything is timed
  await Mysqld.start();
  await Mysqld.stopAll();
}, 600_000);

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

test('the demo tells its story, keeps its promises and leaves nothing behind', async () => {
  const began = performance.now();
  const child = runDemo();
  const [output, errors, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  const seconds = (performance.now() - began) / 1_000;
  console.log(output.slice(output.indexOf('Summary')));
  expect({ status, errors }, output).toEqual({ status: 0, errors: '' });
  expect(seconds).toBeLessThan(60);
  expect(serversOf(child.pid)).toEqual([]);
  expect(output).toMatch(/kill -9 of the primary db1 \(process \d+\)/);
  expect(output).toMatch(/\+\d+ ms {2}first acknowledged write on the new primary/);
  expect(output).toMatch(/acknowledged writes: \d{4,}/);
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
  'the demo ends early at %s, and leaves nothing behind',
  async (signal, expected) => {
    const child = runDemo();
    const errors = text(child.stderr);
    for await (const chunk of child.stdout) if (String(chunk).includes('writes/s')) break;
    expect(serversOf(child.pid)).toHaveLength(3);
    child.kill(signal);
    const [status] = await once(child, 'exit');
    expect(status).toBe(expected);
    expect(await errors).toContain(`${signal}: ending early.`);
    expect(serversOf(child.pid)).toEqual([]);
  },
  60_000,
);
