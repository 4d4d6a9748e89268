import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { CliProcess } from './cli-process.js';

/** `manage start --daemonize`: a node that outlives the terminal, and how its log is moved away. */

let dir: string;
let port: number;
const pids: number[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabric-daemon-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
beforeEach(async () => {
  port = await freePort();
  rmSync(join(dir, 'node.log'), { force: true });
  writeFileSync(
    join(dir, 'fabric.cfg'),
    `[servers]\npassword = x\n[protocol.xmlrpc]\naddress = 127.0.0.1:${port}\npassword = secret\n[logging]\nurl = file:node.log\n`,
  );
});
afterEach(() => {
  CliProcess.endAll();
  for (const pid of pids.splice(0)) if (lives(pid)) process.kill(pid, 'SIGKILL');
});

const run = (...words: string[]) => new CliProcess(words, { cwd: dir }).ended();
const log = () => readFileSync(join(dir, 'node.log'), 'utf8');
const soon = <T>(value: () => T) => expect.poll(value, { timeout: 20_000 });

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function daemonize(): Promise<number> {
  const { status, out, err } = await run('manage', 'start', '--daemonize');
  expect({ status, err }).toEqual({ status: 0, err: '' });
  const [, pid = ''] = /^The node runs as process (\d+)\. Its log is .*node\.log\.\n$/.exec(out) ?? [];
  pids.push(Number(pid));
  return Number(pid);
}

describe('a node in the background', () => {
  it('has started when the tool says so, has a session of its own, and ends by `manage stop`', async () => {
    const pid = await daemonize();
    expect(log()).toContain(`Listening for XML-RPC on 127.0.0.1:${port}.`);
    expect((await run('manage', 'ping')).status).toBe(0);
    const [, group, session] = spawnSync('ps', ['-o', 'pid=,pgid=,sid=', '-p', String(pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split(/\s+/);
    expect([Number(group), Number(session)]).toEqual([pid, pid]);
    expect((await run('manage', 'stop')).status).toBe(0);
    await soon(() => lives(pid)).toBe(false);
    expect(log()).toMatch(/"msg":"Stopped\."}\n$/);
  });

  it('is gone when `manage stop` has ended, with its procedures: another one can be started at once', async () => {
    writeFileSync(
      join(dir, 'fabric.cfg'),
      `${readFileSync(join(dir, 'fabric.cfg'), 'utf8')}[storage]\ntype = sqlite\nfile = state.sqlite\n`,
    );
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => silent.once('listening', resolve));
    const former = await daemonize();
    expect((await run('group', 'create', 'shop')).status).toBe(0);
    const { port: deaf } = silent.address() as AddressInfo;
    await run('group', 'add', 'shop', `127.0.0.1:${deaf}`, '--timeout=3', '--synchronous');
    expect(await run('manage', 'stop')).toMatchObject({ status: 0, err: '' });
    const next = await daemonize();
    await soon(() => lives(former)).toBe(false);
    expect(lives(next)).toBe(true);
    silent.close();
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends gracefully by %s', async signal => {
    const pid = await daemonize();
    process.kill(pid, signal);
    await soon(() => lives(pid)).toBe(false);
    expect(log()).toMatch(/Stopping, because of SIG[A-Z]+\.[\s\S]*"msg":"Stopped\."}\n$/);
  });

  it('begins its log anew by SIGHUP', async () => {
    const pid = await daemonize();
    renameSync(join(dir, 'node.log'), join(dir, 'node.log.1'));
    process.kill(pid, 'SIGHUP');
    expect((await run('manage', 'ping')).status).toBe(0);
    process.kill(pid, 'SIGTERM');
    await soon(() => lives(pid)).toBe(false);
    expect(log()).toMatch(/Stopping[\s\S]*Stopped/);
    expect(readFileSync(join(dir, 'node.log.1'), 'utf8')).not.toContain('Stopping');
  });
});

describe('what hinders it', () => {
  it('is told by the tool: an address that is taken', async () => {
    const taken = createServer().listen(port, '127.0.0.1');
    await new Promise(resolve => taken.once('listening', resolve));
    const { status, out, err } = await run('manage', 'start', '--daemonize');
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toMatch(/^mysqlfabric: The node could not start: .*EADDRINUSE.*\nIs a node running already\?/);
    await new Promise(resolve => taken.close(resolve));
  });

  it.each([
    ['no file for the log', ['--param', 'logging.url=stderr'], /needs a file for its log\.\n\[logging\] url/],
    ['a log that cannot be written', ['--param', 'logging.url=file:no/log'], /cannot be written \(ENOENT\)/],
    ['a wrong option', ['--param', 'protocol.xmlrpc.ssl_cert=none'], /protocol\.xmlrpc\.sslKey must be given/],
  ])('is told by the tool: %s', async (_what, words, message) => {
    const { status, out, err } = await run('manage', 'start', '--daemonize', ...words);
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toMatch(message);
  });

  it('is told by the tool: a node that dies', async () => {
    // Whatever a program of Node.js is told by the environment, its children are told too.
    const words = ['manage', 'start', '--daemonize'];
    const hook = join(dir, 'die.cjs');
    writeFileSync(hook, 'if (process.connected) process.kill(process.pid, "SIGKILL");');
    const { status, err } = await new CliProcess(words, {
      cwd: dir,
      env: { NODE_OPTIONS: `--require ${hook}` },
    }).ended();
    expect(status).toBe(1);
    expect(err).toMatch(/The node ended as it started \(SIGKILL\)\.\nIts log .*node\.log says why/);
  });

  it.each([
    ['or who interrupts it leaves no node behind', ['--daemonize'], 'SIGINT', 130],
    ['does not keep a node in the foreground from hearing SIGTERM', [], 'SIGTERM', 0],
  ] as const)('%s', async (_title, daemonize, signal, status) => {
    // A store that never answers.
    const silent = createServer();
    let connections = 0;
    const called = new Promise<void>(resolve => {
      silent.on('connection', socket => {
        connections += 1;
        socket.resume();
        socket.on('error', () => {});
        socket.once('close', () => {
          connections -= 1;
        });
        resolve();
      });
    });
    silent.listen(0, '127.0.0.1');
    await new Promise(resolve => silent.once('listening', resolve));
    const { port: deaf } = silent.address() as { port: number };
    writeFileSync(join(dir, 'store-password'), 'x');
    const storage = [`storage.type=mysql`, `storage.address=127.0.0.1:${deaf}`, 'storage.password_file=store-password'];
    const words = ['manage', 'start', ...daemonize, ...storage.flatMap(param => ['--param', param])];
    const process = new CliProcess(words, { cwd: dir });
    await called;
    process.signal(signal);
    expect((await process.ended()).status).toBe(status);
    await soon(() => connections).toBe(0);
    silent.close();
  });
});
