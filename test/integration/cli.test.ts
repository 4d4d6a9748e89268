import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { accounts, type TestServer, testServers } from '../../src/testing.js';
import { CliProcess } from './cli-process.js';

/** The command line against a node that it runs itself, and real servers: what the README tells operators. */

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const [, operators = ''] = /\n## Operators\n([\s\S]*?)\n## /.exec(README) ?? [];
const blocks = (language: string) =>
  [...operators.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text ?? '');
const START = 'mysqlfabric manage start';
const lines = blocks('sh').flatMap(block => block.trim().split('\n'));

let servers: readonly TestServer[];
let dir: string;
let port: number;
let env: Record<string, string>;
let node: CliProcess;

beforeAll(async () => {
  servers = await testServers(3);
  port = await freePort();
  dir = mkdtempSync(join(tmpdir(), 'fabric-cli-'));
  const [config = ''] = blocks('ini');
  writeFileSync(
    join(dir, 'fabric.cfg'),
    config.replace('password = change-me\n', `password = ${accounts.fabric.password}\n`),
  );
  env = { MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${port}` };
  node = new CliProcess(['manage', 'start'], { cwd: dir, env });
  await node.says(/Listening for XML-RPC/);
});
afterAll(async () => {
  CliProcess.endAll();
  await Promise.all(servers.map(server => server.remove()));
  rmSync(dir, { recursive: true, force: true });
});

const others: CliProcess[] = [];
afterEach(() => {
  for (const process of others.splice(0)) process.signal('SIGKILL');
});

/** @param line of the README; its servers are those of this test. */
async function typed(line: string) {
  const words = line.replace(/^mysqlfabric /, '').replaceAll(/db(\d):3306/g, (_, n) => servers[n - 1]?.address ?? '');
  return await new CliProcess(words.split(' '), { cwd: dir, env }).ended();
}

interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The tables of an output, each cell right-aligned in its column, with nothing else in it. */
function tables(out: string): Table[] {
  const [, rest] = /^Fabric UUID: {2}[0-9a-f-]{36}\nTime-To-Live: \d+\n\n([\s\S]*)\n$/.exec(out) ?? [];
  if (rest === undefined) throw new Error(`no such layout: ${JSON.stringify(out)}`);
  return rest
    .split('\n\n')
    .filter(part => part !== '')
    .map(part => table(part.split('\n')));
}

function table([header = '', rule = '', ...rows]: readonly string[]): Table {
  expect(rule).toMatch(/^-+( -+)*$/);
  const widths = rule.split(' ').map(({ length }) => length);
  const cells = (row: string): string[] => {
    let at = 0;
    const found = widths.map(width => {
      const cell = row.slice(at, at + width).trim();
      at += width + 1;
      return cell;
    });
    expect(found.map((cell, index) => cell.padStart(widths[index] ?? 0)).join(' ')).toBe(row);
    return found;
  };
  const all = [header, ...rows].map(cells);
  expect(widths).toEqual(widths.map((_, index) => Math.max(...all.map(row => row[index]?.length ?? 0))));
  const [columns = [], ...body] = all;
  return { columns, rows: body };
}

/** What the original's tool printed for a command. */
function captured(name: string): Table[] {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/cli', `${name}.txt`), 'utf8');
  return tables(text.replace(/^\$.*\n/, '').replace(/\[exit status.*\n/, ''));
}

describe('what the README tells operators', () => {
  it('sets up, starts, forms, watches and promotes', () => {
    expect(blocks('ini')).toHaveLength(1);
    expect(lines[0]).toBe(START);
    expect(lines.length).toBeGreaterThan(12);
  });

  it.each(lines.filter(line => line !== START))('works: %s', async line => {
    const { status, out, err } = await typed(line);
    expect({ status, err }, out + node.err).toEqual({ status: 0, err: '' });
    if (line.endsWith('--json')) {
      expect(JSON.parse(out).results[0]).toHaveLength(3);
      return;
    }
    const name = line.split(' ').slice(1, 3).join('-');
    const like = /lookup|health|ping/.test(name) ? name : 'group-create';
    const columns = (found: readonly Table[]) => found.map(part => part.columns);
    expect(columns(tables(out))).toEqual(columns(captured(like)));
  });

  it('and the group is as it should be', async () => {
    const [found] = tables((await typed('group lookup_servers shop')).out);
    const statuses = Object.fromEntries(found?.rows.map(([, address, status]) => [address, status]) ?? []);
    expect(servers.map(({ address }) => statuses[address])).toEqual(['SECONDARY', 'PRIMARY', 'SECONDARY']);
    expect(tables((await typed('dump servers')).out)[0]?.columns).toEqual(captured('dump-servers')[0]?.columns);
  });
});

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
    for (const secret of ['change-me-too', `"${accounts.fabric.password}"`]) expect(node.err).not.toContain(secret);
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
