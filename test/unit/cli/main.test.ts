import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMON_OPTIONS } from '../../../src/cli/arguments.js';
import { catalogue, groups, options, typed } from '../../../src/cli/catalogue.js';
import { VERSION } from '../../../src/cli/version.js';
import { freePort } from '../../../src/testing/free-port.js';
import { createFakeFabric, type FakeFabric } from '../../fakes/fake-fabric.js';
import { tool } from './tool.js';

let fake: FakeFabric;
let dir: string;
let address: string;
beforeAll(async () => {
  fake = await createFakeFabric();
  address = `127.0.0.1:${fake.fabric.address.xmlrpc.port}`;
  dir = mkdtempSync(join(tmpdir(), 'fabric-cli-'));
  writeFileSync(join(dir, 'good.cfg'), `[protocol.xmlrpc]\naddress = ${address}\npassword = secret\n`);
  writeFileSync(join(dir, 'none.cfg'), `[protocol.xmlrpc]\naddress = ${address}\n`);
  writeFileSync(join(dir, 'bad.cfg'), '[connector]\nttll = 1\n');
  writeFileSync(join(dir, 'secret'), 'secret\n');
});
afterAll(async () => {
  await fake.fabric.stop();
  rmSync(dir, { recursive: true, force: true });
});

const called = (line: string) => tool(line, { cwd: dir });
const pinged = expect.objectContaining({ status: 0, err: '', out: expect.stringMatching(/^Fabric UUID: {2}5ca1ab1e/) });

it('shows all that a node holds', async () => {
  const big = await createFakeFabric();
  const empty = { active: false, primary: null, primarySince: null, baseline: null, servers: [] };
  const description = 'a description of ordinary length';
  for (let n = 0; n < 10_000; n += 1) await big.store.createGroup({ id: `group-number-${n}`, description, ...empty });
  const { status, out, err } = await tool('group lookup_groups', {
    env: {
      MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${big.fabric.address.xmlrpc.port}`,
      MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: 'secret',
    },
  });
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(out.match(/group-number-/g)).toHaveLength(10_000);
  await big.fabric.stop();
});

describe('the command line', () => {
  it.each([
    '--config good.cfg manage ping',
    '--config=good.cfg manage ping',
    'manage --config good.cfg ping',
    'manage ping --config good.cfg',
    `manage ping --config good.cfg --param failure_tracking.detections=5 --param connector.ttl=9`,
    'manage ping --config none.cfg --password-file secret',
    'manage ping --config none.cfg --password_file=secret --user admin',
    'group lookup_servers --mode READ_ONLY --config good.cfg my_group',
    'dump servers --config good.cfg --connector_version=0 --patterns my_group',
    'group lookup_servers --config good.cfg -- my_group',
    'server set_weight --config good.cfg 127.0.0.1:34002 0.5 --synchronous',
    'manage.ping --config good.cfg',
    '--config good.cfg group.lookup_servers --mode READ_ONLY my_group',
  ])('is understood: %s', async line => {
    expect(await called(line)).toEqual(pinged);
  });

  it.each([
    ['group add', "Wrong number of parameters were provided for command 'group add'."],
    ['group add a b c', "Wrong number of parameters were provided for command 'group add'."],
    ['group add a b --timeout', '--timeout option requires an argument'],
    ['group add a b --timeout --update_only', '--timeout option requires an argument'],
    ['group add a b --update_only=yes', '--update_only option does not take a value'],
    ['group add a b --nonsense', 'no such option: --nonsense'],
    ['group add a b -x', 'no such option: -x'],
  ])('is not understood: %s', async (line, message) => {
    const { status, err, out } = await called(line);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(/^Usage: {2}group add group_id address {2}\[--timeout=NONE\]/);
    expect(err).toContain(`\n\nmysqlfabric: error: ${message}\n`);
  });

  it.each([
    ['nothing', "There is no group 'nothing'."],
    ['nothing here', "There is no group 'nothing'."],
    ['group', "Which command of the group 'group'?"],
    ['group nothing', "There is no command 'group nothing'."],
    ['help nothing', "There is no group 'nothing'."],
    ['help group nothing', "There is no command 'group nothing'."],
    ['nothing.here', "There is no group 'nothing'."],
    ['group.nothing', "There is no command 'group nothing'."],
    ['help group.nothing', "There is no command 'group nothing'."],
    ['completion fish', 'completion is for bash or zsh.'],
    ['constructor', "There is no group 'constructor'."],
  ])('leads nowhere: %s', async (line, message) => {
    const { status, err } = await called(line);
    expect(status).toBe(2);
    expect(err).toContain(`mysqlfabric: error: ${message}\nTry 'mysqlfabric help'`);
  });

  it.each([
    ['group promote my_group --slave_id=', 'slave_id'],
    ['group lookup_servers my_group --server-id=', 'server_id'],
  ])('is not understood when the name of a server is empty: %s', async (line, option) => {
    const { status, err } = await called(`${line} --config good.cfg`);
    expect(status).toBe(2);
    expect(err).toContain(`mysqlfabric: error: --${option} option must name a server, and is empty\n`);
  });

  it('sends words and options in wire order', async () => {
    const weights = async () =>
      (await fake.fabric.call('group.lookup_servers', 'my_group', '127.0.0.1:34003')).rows.map(({ weight }) => weight);
    expect(await weights()).toEqual([1]);
    expect(await called('server set_weight 127.0.0.1:34003 0.5 --config good.cfg')).toEqual(pinged);
    expect(await weights()).toEqual([0.5]);
  });

  it('takes an option that is a list more than once', async () => {
    const uuidOf = async () =>
      String((await fake.fabric.call('group.description', 'my_group', 'x', false)).rows[0]?.uuid);
    const [one, two] = [await uuidOf(), await uuidOf()];
    const { out, status } = await called(
      `event wait_for_procedures --proc_uuids=${one} --proc_uuids ${two} --config good.cfg --json`,
    );
    expect(status).toBe(0);
    const sets = (JSON.parse(out) as { results: { uuid?: string }[][] }).results;
    expect(sets.flatMap(rows => rows.flatMap(({ uuid }) => uuid ?? []))).toEqual([one, two]);
  });

  it('has no option twice', () => {
    const common = COMMON_OPTIONS.map(({ name }) => name.replaceAll('-', '_'));
    for (const command of catalogue.values()) {
      const names = [...common, ...options(command).map(({ name }) => name)];
      expect(
        names.filter((name, index) => names.indexOf(name) !== index),
        typed(command),
      ).toEqual([]);
    }
  });
});

describe('help', () => {
  it.each(['', 'help', '--help', '-h'])('%j explains the tool', async line => {
    const { out, status } = await called(line);
    expect(status).toBe(line.startsWith('-') ? 0 : 2);
    for (const { name } of COMMON_OPTIONS) expect(out).toContain(`--${name}`);
  });

  it('lists groups and commands', async () => {
    expect((await called('help groups')).out.split('\n').filter(Boolean)).toEqual(groups);
    const { out, status } = await called('help commands');
    expect(status).toBe(2);
    expect(out.split('\n').filter(Boolean)).toHaveLength(catalogue.size);
    for (const command of catalogue.values()) expect(out).toMatch(new RegExp(`^ {2}${typed(command)} {2}`, 'm'));
    expect((await called('help threat')).out.split('\n').filter(Boolean)).toHaveLength(2);
  });

  it.each([...catalogue.values()].map(command => [typed(command), command] as const))(
    'explains %s',
    async (line, command) => {
      const { out } = await called(`help ${line}`);
      expect(out).toBe((await called(`${line} --help`)).out);
      expect(out).toBe((await called(`help ${command.name}`)).out);
      for (const { name, doc } of command.params) {
        expect(out).toContain(name);
        expect(out).toContain(doc);
      }
    },
  );

  it('tells the version', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8'));
    expect(VERSION).toBe(version);
    expect(await called('--version')).toEqual({ status: 0, out: `${version}\n`, err: '' });
  });
});

describe('what goes wrong says what to do next', () => {
  const cases: readonly (readonly [string, string, RegExp, RegExp])[] = [
    [
      'a wrong setting',
      'manage ping --config bad.cfg',
      /bad\.cfg:2: there is no setting \[connector\] ttll\./,
      /fabric\.cfg/,
    ],
    ['no file', 'manage ping --config nowhere', /nowhere cannot be read \(ENOENT\)/, /fabric\.cfg/],
    ['nobody to ask', 'manage ping --config none.cfg', /no password for user 'admin'/, /--password-file/],
    [
      'no password file',
      'manage ping --config none.cfg --password-file x',
      /x cannot be read \(ENOENT\)/,
      /permissions/,
    ],
    ['a wrong password', 'manage ping --config none.cfg --password-file good.cfg', /refused user 'admin'/, /--user/],
    ['a wrong user', 'manage ping --config none.cfg --user me --password-file secret', /refused user 'me'/, /--user/],
    [
      'a refusal',
      'group lookup_servers nobody --config good.cfg',
      /^'mysqlfabric help group lookup_servers'/,
      /explains/,
    ],
    ['a refusal by kind', 'group demote nobody --config good.cfg', /^'mysqlfabric group lookup_groups'/, /health/],
    [
      "a refusal for a server's state",
      'server set_status 127.0.0.1:34002 FAULTY --config good.cfg',
      /^'mysqlfabric group health <group>'/,
      /'mysqlfabric group why <group>'/,
    ],
    ['an argument that XML cannot carry', 'group create \u0001 --config good.cfg', /mysqlfabric: /, /./],
  ];
  it.each(cases)('%s', async (_what, line, problem, advice) => {
    const { status, err } = await called(line);
    expect(status).toBe(1);
    expect(err).toMatch(problem);
    expect(err).toMatch(advice);
    expect(err).not.toContain('secret\n');
  });

  it('no node', async () => {
    const port = await freePort();
    const { status, err } = await called(
      `manage ping --config good.cfg --param protocol.xmlrpc.address=127.0.0.1:${port}`,
    );
    expect(status).toBe(1);
    expect(err).toContain("Is the node running? 'mysqlfabric manage start' starts one;");
  });

  it.each([
    [400, /^mysqlfabric: The Fabric node refused group\.create: .*\nIts account is/],
    [403, /^mysqlfabric: The Fabric node refused group\.create: .*\nAnother user may call it/],
    [404, /^mysqlfabric: No Fabric node answered group\.create: .*\nIs that a Fabric node\?/],
    [500, /^mysqlfabric: The Fabric node refused group\.create: .*\nThe node failed at it: its log says why\./],
  ])('an answer with HTTP %d', async (code, sentences) => {
    const http = createServer((_request, response) => response.writeHead(code).end()).listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    const { status, err } = await called(
      `group create x --config good.cfg --param protocol.xmlrpc.address=127.0.0.1:${port}`,
    );
    http.close();
    expect(status).toBe(1);
    expect(err).toMatch(sentences);
  });

  it.each(['group lookup_groups', 'manage start'])('no configuration file: %s', async line => {
    const looked = `There is no configuration file: neither --config nor MYSQL2_FABRIC_CONFIG names one, and it is not in ${dir}/fabric.cfg or /etc/mysql/fabric.cfg.\n`;
    const { status, err } = await called(line);
    expect(status).toBe(1);
    expect(err).toContain(looked);
    expect((await called(`${line} --config /dev/null`)).err).not.toContain('There is no configuration file');
  });

  it('a password among the arguments is refused', async () => {
    const { status, err } = await called('manage ping --param protocol.xmlrpc.password=topsecret');
    expect(status).toBe(1);
    expect(err).toContain('password_file=<path>');
    expect(err).not.toContain('topsecret');
  });
});

describe('a password that is asked for', () => {
  class Keyboard extends PassThrough {
    readonly raw: boolean[] = [];
    setRawMode(raw: boolean): void {
      this.raw.push(raw);
    }
  }
  const typing = async (text: string | Buffer) => {
    const terminal = new Keyboard();
    const ended = tool('manage ping --config none.cfg', { cwd: dir, terminal });
    for (const byte of Buffer.from(text)) terminal.write(Buffer.of(byte));
    return { ...(await ended), raw: terminal.raw };
  };

  it.each(['secret\r', 'secret\n', 'secreé\u007ft\r', 'sex\bcret\r'])('%j is taken, and not shown', async text => {
    const ended = await typing(text);
    expect(ended).toMatchObject({ status: 0, err: 'Password for admin: \n', raw: [true, false] });
  });

  it('Ctrl-C ends it', async () => {
    expect(await typing('sec\u0003')).toMatchObject({ status: 130, out: '', raw: [true, false] });
  });
});
