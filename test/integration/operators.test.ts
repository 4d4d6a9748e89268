import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { CliProcess } from './cli-process.js';
import { captured, type Table, tables } from './cli-tables.js';
import { until } from './cluster.js';
import { accountBlock, manualBlocks, statements } from './manual.js';

/** Everything that the README tells operators to type, as it is written there, from the accounts to the end, against real servers. */

const HEADING = '## Operators';
const lines = manualBlocks('README.md', HEADING, 'sh').flatMap(block => block.trim().split('\n'));
const START = 'mysqlfabric manage start';
const STOP = 'mysqlfabric manage stop';

let servers: readonly Mysqld[];
let dir: string;
let env: Record<string, string>;
let node: CliProcess;

beforeAll(async () => {
  servers = await startMysqlds(3);
  dir = mkdtempSync(join(tmpdir(), 'fabric-operators-'));
  env = { MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${await freePort()}` };
});
afterAll(async () => {
  CliProcess.endAll();
  await Promise.all(servers.map(server => server.remove()));
  rmSync(dir, { recursive: true, force: true });
});

/** The README's db1 to db3 are the servers of this test. */
const serverOf = (name: string): Mysqld => {
  const server = servers[Number(name.slice(2)) - 1];
  if (!server) throw new Error(`there is no ${name}`);
  return server;
};

const run = (line: string) => {
  const words = line.replace(/^mysqlfabric /, '').replaceAll(/(db\d):3306/g, (_, name) => serverOf(name).address);
  return new CliProcess(words.split(' '), { cwd: dir, env }).ended();
};

async function statuses(): Promise<string[]> {
  const [found] = tables((await run('group lookup_servers shop')).out);
  const byAddress = new Map(found?.rows.map(([, address, status]) => [address, status]));
  return servers.map(({ address }) => byAddress.get(address) ?? '-');
}

/** Outside of `mysqlfabric` the README kills and starts a server, and lets a moment pass. */
async function elsewhere(line: string): Promise<void> {
  const [, name = '', command = ''] = /^ssh (db\d) sudo (.+)$/.exec(line) ?? [];
  const server = serverOf(name);
  if (command === 'systemctl start mysql') return server.start();
  expect(command).toBe('pkill -KILL mysqld');
  await server.kill();
  const index = servers.indexOf(server);
  await until('another primary', async () => {
    const now = await statuses();
    return now[index] === 'FAULTY' && now.includes('PRIMARY');
  });
}

/** Its layout is that of the original's tool, where a capture of the command exists. */
function expectOutput(line: string, out: string): void {
  if (line.endsWith('--json')) {
    expect(JSON.parse(out).results[0]).toHaveLength(3);
    return;
  }
  const name = line.split(' ').slice(1, 3).join('-');
  const found: readonly Table[] = tables(out, /^(event-log|event-under_way|group-why)$/.test(name));
  if (/^(group-lookup_groups|group-lookup_servers|manage-ping)$/.test(name))
    expect(found.map(part => part.columns)).toEqual(captured(name).map(part => part.columns));
  if (/^(group-(create|add|promote|activate)|server-)/.test(name))
    expect(found.map(part => part.columns)).toEqual(captured('group-create').map(part => part.columns));
  if (name === 'group-health') expect(found[0]?.rows).toHaveLength(3);
  if (name === 'event-log') expect(out).toMatch(/is FAULTY, says .*FailureDetector\(shop\)/);
}

describe.sequential('what the README tells operators', () => {
  it('makes the accounts', async () => {
    const [readme = ''] = manualBlocks('README.md', HEADING, 'sql');
    for (const server of servers) {
      const connection = await server.connect();
      try {
        // Every sandbox server is born with an account of this name; here it is the reader who makes it.
        await connection.query('SET sql_log_bin = 0');
        await connection.query("DROP USER 'fabric'@'%'");
        await connection.query('SET sql_log_bin = 1');
        const block = server.version.startsWith('5.') ? accountBlock(server.version) : readme;
        for (const statement of statements(block)) await connection.query(statement);
      } finally {
        connection.destroy();
      }
    }
  });

  it('writes the configuration', () => {
    const [config = '', ...more] = manualBlocks('README.md', HEADING, 'ini');
    expect(more).toEqual([]);
    writeFileSync(join(dir, 'fabric.cfg'), config);
  });

  it('sets up, starts, creates, adds, promotes, kills, watches, repairs and stops', () => {
    const order = [
      /manage setup$/,
      /manage start$/,
      /group create/,
      /group add/,
      /group promote/,
      /pkill/,
      /event log/,
    ];
    const at = [...order, /set_status .* spare$/, /manage stop$/].map(pattern =>
      lines.findLastIndex(l => pattern.test(l)),
    );
    expect(at).not.toContain(-1);
    expect(at).toEqual([...at].sort((a, b) => a - b));
  });

  it.each(lines)('works: %s', { timeout: 60_000 }, async line => {
    if (line === START) {
      node = new CliProcess(['manage', 'start'], { cwd: dir, env });
      await node.says(/Listening for XML-RPC/);
      return;
    }
    if (!line.startsWith('mysqlfabric ')) return elsewhere(line);
    const { status, out, err } = await run(line);
    expect({ status, err }, out + node?.err).toEqual({ status: 0, err: '' });
    if (!/manage (setup|stop)/.test(line)) expectOutput(line, out);
    if (line.includes('group promote')) expect(await statuses()).toContain('PRIMARY');
    if (line === STOP) expect(await node.ended()).toMatchObject({ status: 0, out: '' });
  });

  it('leaves servers that go on without the node, and one primary', async () => {
    const writable = await Promise.all(servers.map(server => server.query('SELECT @@GLOBAL.read_only AS value')));
    expect(writable.map(([row]) => Number(row?.value)).sort()).toEqual([0, 1, 1]);
    expect(node.err).not.toContain('change-me');
  });
});
