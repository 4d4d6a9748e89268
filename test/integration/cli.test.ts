import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { CLI, CliProcess } from './cli-process.js';
import { tables } from './cli-tables.js';

/** The command line against a node that it runs itself; operators.test.ts has it before real servers. */

const CONFIG = `
[servers]
password = secret-1
[protocol.xmlrpc]
password = secret-2
`;

let dir: string;
let port: number;
let env: Record<string, string>;
let node: CliProcess;

beforeAll(async () => {
  port = await freePort();
  dir = mkdtempSync(join(tmpdir(), 'fabric-cli-'));
  writeFileSync(join(dir, 'fabric.cfg'), CONFIG);
  writeFileSync(join(dir, 'nobody.cfg'), '[servers]\npassword = x\n');
  env = { MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${port}` };
  node = new CliProcess(['manage', 'start'], { cwd: dir, env });
  await node.says(/Listening for XML-RPC/);
  expect((await typed('group create shop')).status).toBe(0);
});
afterAll(() => {
  CliProcess.endAll();
  rmSync(dir, { recursive: true, force: true });
});

const others: CliProcess[] = [];
afterEach(() => {
  for (const process of others.splice(0)) process.signal('SIGKILL');
});

const typed = (line: string) => new CliProcess(line.split(' '), { cwd: dir, env }).ended();

describe('the commands', () => {
  it('refuse as the original did, with what to do next', async () => {
    const { status, out, err } = await typed('group create shop');
    expect(status).toBe(1);
    expect(out).toMatch(/^Fabric UUID: .*\nTime-To-Live: 1\n\nGroupError: Group \(shop\) already exists\.\n\n$/);
    expect(err).toMatch(/^'mysqlfabric group lookup_groups' /);
  });

  it('answer at once with --synchronous', async () => {
    const { status, out } = await typed('group description shop --description=all --synchronous');
    expect(status).toBe(0);
    expect(tables(out)).toEqual([{ columns: ['uuid'], rows: [[expect.stringMatching(/^[0-9a-f-]{36}$/)]] }]);
  });

  it('end with 2 when they are not understood', async () => {
    expect(await typed('group add shop')).toMatchObject({ status: 2, out: '' });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('end at once by %s', async (signal, status) => {
    let called: () => void = () => {};
    const calls = new Promise<void>(resolve => {
      called = resolve;
    });
    const silent = createServer(called).listen(0, '127.0.0.1');
    await new Promise(resolve => silent.once('listening', resolve));
    const { port: deaf } = silent.address() as { port: number };
    const call = new CliProcess(['manage', 'ping', '--param', `protocol.xmlrpc.address=127.0.0.1:${deaf}`], {
      cwd: dir,
    });
    await calls;
    call.signal(signal);
    expect(await call.ended()).toMatchObject({ status, out: '' });
    silent.close();
  });

  it('say on Ctrl-C that the node goes on with a change', async () => {
    let called: () => void = () => {};
    const calls = new Promise<void>(resolve => {
      called = resolve;
    });
    const silent = createServer(called).listen(0, '127.0.0.1');
    await new Promise(resolve => silent.once('listening', resolve));
    const { port: deaf } = silent.address() as { port: number };
    const call = new CliProcess(['group', 'add', 'shop', `127.0.0.1:${deaf}`, '--timeout=2'], { cwd: dir, env });
    await calls;
    call.signal('SIGINT');
    expect(await call.ended()).toEqual({
      status: 130,
      out: '',
      err: "The node goes on with it: 'mysqlfabric event under_way' shows it while it lasts, 'mysqlfabric event log' how it ended.\n",
    });
    silent.close();
  });

  it('fail when their answer cannot be written', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [CLI, 'help'], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    expect(status).toBe(1);
    expect(String(stderr)).toMatch(/^mysqlfabric: The answer cannot be written \(ENOSPC\)\.\nIs the disk full\?/);
  });

  it('are content with a reader who has read enough', async () => {
    const { stdout, stderr } = spawnSync('sh', [
      '-c',
      `"$0" "$1" help commands | head -1; exit 0`,
      process.execPath,
      CLI,
    ]);
    expect([String(stdout).split('\n').length, String(stderr)]).toEqual([2, '']);
  });
});

describe('manage start', () => {
  const settings = () => ({ MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: '127.0.0.1:0' });
  const start = (more: Record<string, string> = {}, ...words: string[]) => {
    const process = new CliProcess(['manage', 'start', ...words], { cwd: dir, env: { ...settings(), ...more } });
    others.push(process);
    return process;
  };

  it.each([
    ['SIGTERM', 0],
    ['SIGINT', 130],
  ] as const)('ends gracefully by %s', async (signal, status) => {
    const process = start();
    await process.says(/Listening/);
    process.signal(signal);
    const ended = await process.ended();
    expect(ended).toMatchObject({ status, out: '' });
    expect(ended.err).toMatch(/"msg":"Stopped\."}\n$/);
  });

  it('says in lines of JSON what it decides, and never a secret', async () => {
    const sentences = node.err
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, string>);
    for (const sentence of sentences) expect(Object.keys(sentence)).toEqual(['level', 'time', 'msg']);
    expect(sentences.map(({ msg }) => msg)).toContain(`Listening for XML-RPC on 127.0.0.1:${port}.`);
    for (const secret of ['secret-1', 'secret-2']) expect(node.err).not.toContain(secret);
  });

  it('logs as much as it is told to, and ends by manage stop, which is answered', async () => {
    const own = { ...env, MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${await freePort()}` };
    const process = start(own);
    await process.says(/Listening/);
    const asked = (words: string) => new CliProcess(words.split(' '), { cwd: dir, env: own }).ended();
    expect(await asked('manage logging_level mysql.fabric WARNING')).toMatchObject({ status: 0, err: '' });
    expect(await asked('group create quiet')).toMatchObject({ status: 0 });
    expect(await asked('manage logging_level mysql.fabric INFO')).toMatchObject({ status: 0 });
    expect(await asked('manage stop')).toMatchObject({ status: 0, err: '' });
    const ended = await process.ended();
    expect(ended.status).toBe(0);
    expect(ended.err).toMatch(/Stopping, because of manage\.stop\..*\n.*"msg":"Stopped\."}\n$/);
  });

  it('writes its log into a file, and notes what has no effect', async () => {
    const file = join(dir, 'node.log');
    const process = start({ MYSQL2_FABRIC_EXECUTOR_EXECUTORS: '5' }, '--param', 'logging.url=file:node.log');
    const read = () => {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return '';
      }
    };
    await expect.poll(read, { timeout: 10_000 }).toContain('Listening');
    process.signal('SIGTERM');
    expect(await process.ended()).toEqual({ status: 0, out: '', err: '' });
    expect(read()).toContain('MYSQL2_FABRIC_EXECUTOR_EXECUTORS: [executor] executors has no effect');
    expect(read()).toContain('Stopped.');
  });

  it.each([
    ['an address that is taken', () => ({ MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${port}` }), /manage ping/],
    [
      'a log that cannot be written',
      () => ({ MYSQL2_FABRIC_LOGGING_URL: 'file:///nowhere/fabric.log' }),
      /\[logging\] url/,
    ],
    [
      'a store that cannot be opened',
      () => ({ MYSQL2_FABRIC_STORAGE_TYPE: 'sqlite', MYSQL2_FABRIC_STORAGE_FILE: dir }),
      /The state store \S+ \(storage\.file\) cannot be opened \(EISDIR\)\.\nWhere it is, .*\[storage\]/,
    ],
    [
      'a store below what is no folder',
      () => ({ MYSQL2_FABRIC_STORAGE_TYPE: 'sqlite', MYSQL2_FABRIC_STORAGE_FILE: '/dev/null/x/fabric.sqlite' }),
      /The folder \S+ of the state store \(storage\.file\) cannot be made \(ENOTDIR\)\.\nWhere it is, .*\[storage\]/,
    ],
    [
      'a store without anybody who may call it',
      () => ({
        MYSQL2_FABRIC_CONFIG: 'nobody.cfg',
        MYSQL2_FABRIC_STORAGE_TYPE: 'sqlite',
        MYSQL2_FABRIC_STORAGE_FILE: join(dir, 'nobody.sqlite'),
      }),
      /No user may call all commands.*\n'mysqlfabric help manage setup' explains it\./,
    ],
    [
      'a wrong value',
      () => ({ MYSQL2_FABRIC_CONNECTOR_TTL: 'x' }),
      /CONNECTOR_TTL: \[connector\] ttl must be a number/,
    ],
    [
      'a password that is missing',
      () => ({ MYSQL2_FABRIC_CONFIG: '/dev/null' }),
      /\[servers\] password must be given: .* or MYSQL2_FABRIC_SERVERS_PASSWORD or/,
    ],
  ])('refuses %s, and says what to do', async (_what, more, advice) => {
    const { status, err } = await start(more()).ended();
    expect(status).toBe(1);
    expect(err).toMatch(advice);
  });
});

describe('the state store', () => {
  const run = async (words: string, storage: Record<string, string>) => {
    const settings = Object.entries(storage).map(([key, value]) => [`MYSQL2_FABRIC_STORAGE_${key}`, value]);
    return await new CliProcess(words.split(' '), { cwd: dir, env: Object.fromEntries(settings) }).ended();
  };

  it('is not torn down under a node that runs, nor used by two; where there is none the tool says so', async () => {
    const storage = { TYPE: 'sqlite', FILE: join(dir, 'used.sqlite') };
    const none = await run('manage teardown', storage);
    expect(none).toMatchObject({ status: 1, out: '' });
    expect(none.err).toMatch(/There is no state store: .*used\.sqlite\.\n.*\[storage\]/);
    expect(existsSync(storage.FILE)).toBe(false);
    const words = (command: string) => [
      ...command.split(' '),
      ...['--param', 'storage.type=sqlite', '--param', `storage.file=${storage.FILE}`],
      ...['--param', 'protocol.xmlrpc.address=127.0.0.1:0'],
    ];
    const process = new CliProcess(words('manage start'), { cwd: dir });
    others.push(process);
    await process.says(/Listening/);
    for (const command of ['manage teardown', 'manage start']) {
      const { status, out, err } = await new CliProcess(words(command), { cwd: dir }).ended();
      expect({ status, out }).toEqual({ status: 1, out: '' });
      expect(err).toMatch(/Another node uses the state store .*\nStop that node first: 'mysqlfabric manage stop'\./);
    }
    process.signal('SIGTERM');
    expect(await process.ended()).toMatchObject({ status: 0 });
    expect(await run('manage teardown', storage)).toMatchObject({ status: 0, err: '' });
  });

  it('needs no account on the servers of the groups', async () => {
    writeFileSync(join(dir, 'store.cfg'), '[protocol.xmlrpc]\npassword = x\n');
    const storage = { TYPE: 'sqlite', FILE: join(dir, 'own.sqlite') };
    for (const command of ['setup', 'teardown'])
      expect(await run(`manage ${command} --config store.cfg`, storage)).toMatchObject({ status: 0, err: '' });
  });

  it('is set up, keeps the groups of a node that ends, and is torn down', async () => {
    const storage = { TYPE: 'sqlite', FILE: join(dir, 'state.sqlite') };
    expect(await run('manage setup', storage)).toMatchObject({ status: 0, err: '' });
    const own = await freePort();
    const kept = { ...env, MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${own}` };
    for (const command of ['group create kept', 'group destroy kept']) {
      const process = new CliProcess(
        ['manage', 'start', '--param', 'storage.type=sqlite', '--param', `storage.file=${storage.FILE}`],
        {
          cwd: dir,
          env: kept,
        },
      );
      others.push(process);
      await process.says(/Listening/);
      const called = await new CliProcess(command.split(' '), { cwd: dir, env: kept }).ended();
      expect(called.status, called.out).toBe(0);
      process.signal('SIGTERM');
      expect((await process.ended()).status).toBe(0);
    }
    expect(await run('manage teardown', storage)).toMatchObject({ status: 0, err: '' });
  });

  it.each([
    [{}, /kept in the memory of the node.*\n\[storage\] type = sqlite or type = mysql/],
    [{ TYPE: 'mysql' }, /\[storage\] password must be given/],
    [
      { TYPE: 'mysql', PASSWORD: 'x', ADDRESS: '127.0.0.1:1', CONNECTION_ATTEMPTS: '1' },
      /The state store: .*\nWhere it is, and its account, is said in \[storage\]/,
    ],
  ])('refuses %j, and says what to do', async (storage, advice) => {
    const { status, err } = await run('manage setup', storage);
    expect(status).toBe(1);
    expect(err).toMatch(advice);
  });
});
