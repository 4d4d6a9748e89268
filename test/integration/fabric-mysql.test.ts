import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import mysql, { type Connection, type FieldPacket, type RowDataPacket } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { column, read } from '../../src/fabric/commands/define.js';
import { SERVER_VERSION, startMysql } from '../../src/fabric/endpoints/mysql.js';
import { PacketReader } from '../../src/fabric/endpoints/mysql-packets.js';
import { type FabricNodeOptions, parseFabricOptions } from '../../src/fabric/options.js';
import { createFabric } from '../../src/fabric.js';
import { FABRIC_UUID } from '../../src/wire/topology.js';
import { createFakeFabric, type FakeFabric, UUIDS } from '../fakes/fake-fabric.js';

const ADMIN = { user: 'admin', password: 'secret' };
const PROTOCOL = {
  xmlrpc: { address: '127.0.0.1:0', password: 'secret' },
  mysql: { address: '127.0.0.1:0', password: 'secret' },
};

let node: FakeFabric;
let client: Connection;
/** What the driver prints; a node prints nothing. */
const printed = () => [console.error, console.log, console.trace, console.warn].flatMap(f => vi.mocked(f).mock.calls);

beforeEach(async () => {
  for (const name of ['error', 'log', 'trace', 'warn'] as const) vi.spyOn(console, name).mockImplementation(() => {});
  node = await createFakeFabric({ protocol: PROTOCOL });
  client = await logIn();
});
afterEach(async () => {
  client.destroy();
  await node.fabric.stop();
  expect(printed()).toEqual([]);
  expect(node.complaints.filter(sentence => /broke|protocol/.test(sentence))).toEqual([]);
  vi.restoreAllMocks();
});

function addressOf(fabric = node.fabric) {
  const { mysql: address } = fabric.address;
  if (!address) throw new Error('no endpoint');
  return address;
}

const logIn = (options: mysql.ConnectionOptions = {}) =>
  mysql.createConnection({ ...addressOf(), ...ADMIN, ...options });

interface Set {
  readonly columns: readonly (readonly [string, number | undefined])[];
  readonly rows: readonly unknown[][];
}

/** The result sets of a CALL, whose columns all must be of this table. */
async function call(sql: string): Promise<readonly Set[]> {
  const [rows, fields] = await client.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
  const many = Array.isArray(fields[0]);
  const sets = many ? rows : [rows];
  const table = /call\s+(\w+)\.(\w+)/i.exec(sql)?.slice(1).join('_');
  return ((many ? fields : [fields]) as unknown as FieldPacket[][]).map((columns, index) => {
    for (const { table: found, db, flags } of columns) {
      expect([found, db, flags]).toEqual([table, 'fabric', 1]);
    }
    return { columns: columns.map(({ name, columnType }) => [name, columnType]), rows: sets[index] as unknown[][] };
  });
}

const refusalOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    ({ errno, sqlState, message }) => ({ errno, sqlState, message }),
  );

const text = 253;
const int = 8;
const double = 246;
const bool = 1;
const INFO = [
  ['fabric_uuid', text],
  ['ttl', int],
  ['message', text],
];
const OUTCOME = [
  ['uuid', text],
  ['finished', bool],
  ['success', bool],
  ['result', bool],
];
const HISTORY = [
  ['state', int],
  ['success', int],
  ['when', double],
  ['description', text],
];
const GOOD = [FABRIC_UUID, 1, null];

describe('CALL', () => {
  it('answers as the original did', async () => {
    const [info, servers] = await call("CALL dump.servers(0,'my_group')");
    expect(info).toEqual({ columns: INFO, rows: [GOOD] });
    expect(servers?.columns).toEqual([
      ['server_uuid', text],
      ['group_id', text],
      ['host', text],
      ['port', int],
      ['mode', int],
      ['status', int],
      ['weight', double],
    ]);
    expect(servers?.rows).toEqual([
      [UUIDS[0], 'my_group', '127.0.0.1', 34_002, 1, 2, '1.0'],
      [UUIDS[1], 'my_group', '127.0.0.1', 34_003, 1, 2, '1.0'],
      [UUIDS[2], 'my_group', '127.0.0.1', 34_004, 3, 3, '1.0'],
    ]);
  });

  it('has the sets of the command after the first one', async () => {
    const [, , ...health] = await call("CALL group.health('my_group')");
    expect(health).toEqual([{ columns: [['issue', text]], rows: [] }]);
    expect(await call('CALL group.lookup_groups()')).toEqual([
      { columns: INFO, rows: [GOOD] },
      {
        columns: [
          ['group_id', text],
          ['description', text],
          ['failure_detector', bool],
          ['master_uuid', text],
        ],
        rows: [['my_group', null, 0, UUIDS[2]]],
      },
    ]);
    expect(await call('CALL manage.ping()')).toEqual([{ columns: INFO, rows: [GOOD] }]);
    expect((await call('CALL dump.shard_maps()'))[1]).toMatchObject({ rows: [] });
  });

  it('reports how a procedure went', async () => {
    const [info, outcome, history] = await call("CALL group.create('pg', 'a group')");
    expect(info?.rows).toEqual([GOOD]);
    expect(outcome).toEqual({ columns: OUTCOME, rows: [[expect.any(String), 1, 1, 1]] });
    expect(history?.columns).toEqual(HISTORY);
    expect(history?.rows[0]).toEqual([3, 2, expect.stringMatching(/^\d{10}\.\d+$/), expect.any(String)]);
    expect((await call("CALL group.create('pg')"))[0]?.rows).toEqual([
      [FABRIC_UUID, 1, 'GroupError: Group (pg) already exists.'],
    ]);
    const asynchronous = await call("CALL group.create('pg2', synchronous=False)");
    expect(asynchronous.slice(1)).toEqual([{ columns: [['uuid', text]], rows: [[expect.any(String)]] }]);
  });

  it('puts what a command refuses in the first set', async () => {
    expect(await call("CALL group.lookup_servers('nosuch')")).toEqual([
      { columns: INFO, rows: [[FABRIC_UUID, 1, 'Group (nosuch) does not exist.']] },
    ]);
  });

  it('takes arguments by name, and by the ways to write them', async () => {
    const primary = [UUIDS[2], '127.0.0.1:34004', 'PRIMARY', 'READ_WRITE', '1.0'];
    for (const list of [
      "group_id='my_group', status='PRIMARY'",
      "'my_group', NULL, `PRIMARY`",
      'my_group, status=3',
      '"my_group", mode=READ_WRITE',
    ]) {
      expect((await call(`/* ${list} */ call group.lookup_servers(${list});`))[1]?.rows).toEqual([primary]);
    }
    await client.query('CALL server.set_weight(?, ?)', ['127.0.0.1:34004', 0.5]);
    expect((await call(`CALL group.lookup_servers(my_group, '${UUIDS[2]}')`))[1]?.rows[0]?.[4]).toBe('0.5');
    await client.query('CALL group.description(?, ?)', ['my_group', 'O\'Brien\\ "ä€😀"\n']);
    expect((await call('CALL group.lookup_groups()'))[1]?.rows[0]?.[1]).toBe('O\'Brien\\ "ä€😀"\n');
  });

  it('may be answered long', async () => {
    const description = 'x'.repeat(900_000);
    const [group] = await node.store.groups();
    await node.store.saveGroup({ ...(group as NonNullable<typeof group>), description });
    const answers = await Promise.all(Array.from({ length: 5 }, () => call('CALL group.lookup_groups()')));
    for (const [, groups] of answers) expect(groups?.rows[0]?.[1]).toBe(description);
  });

  it.each([
    ['CALL nosuch.cmd()', 1106, 'HY000', 'Unknown Fabric command'],
    ['CALL group.LOOKUP_SERVERS()', 1106, 'HY000', 'Unknown Fabric command'],
    ['CALL constructor()', 1106, 'HY000', 'Unknown Fabric command'],
    ['CALL group.lookup_servers', 1149, '42000', 'You have an error in your SQL syntax'],
    ["CALL group.create('a', nosuch=1)", 1108, '22000', /there is no argument nosuch$/],
    ['CALL group.create()', 1108, '22000', /group_id is missing$/],
    ['SHOW CREATE PROCEDURE group.nosuch', 1106, '22000', 'Unknown Fabric command'],
    ['SET format=xml', 1228, 'HY000', /xml/],
  ])('%s is an error', async (sql, errno, sqlState, words) => {
    const refusal = await refusalOf(client.query(sql));
    expect(refusal).toMatchObject({ errno, sqlState });
    if (words instanceof RegExp) expect(refusal?.message).toMatch(words);
    expect(refusal?.message).toMatch(words instanceof RegExp ? /^\[Fabric\] / : `[Fabric] ${words}`);
    expect(await call('CALL manage.ping()')).toHaveLength(1);
  });
});

describe('other statements and commands', () => {
  it('are answered with OK', async () => {
    for (const sql of ['SELECT 1', 'SET NAMES utf8', 'set autocommit=1', 'PREPARE x', 'EXECUTE x', 'USE fabric', ';']) {
      expect((await client.query(sql))[0]).toMatchObject({ affectedRows: 0, serverStatus: 2 });
    }
    await client.ping();
    await client.query('CALL manage.ping()');
  });

  it('show the commands', async () => {
    const [rows] = await client.query<RowDataPacket[]>('SELECT * FROM INFORMATION_SCHEMA.ROUTINES');
    const names = rows.map(({ ROUTINE_SCHEMA, ROUTINE_NAME }) => `${ROUTINE_SCHEMA}.${ROUTINE_NAME}`);
    expect(names).toContain('dump.servers');
    expect(rows[0]).toEqual({
      SPECIFIC_NAME: 'ping',
      ROUTINE_CATALOG: 'fabric',
      ROUTINE_SCHEMA: 'manage',
      ROUTINE_NAME: 'ping',
      ROUTINE_TYPE: 'PROCEDURE',
    });
    for (const name of names) {
      const [help] = await client.query<RowDataPacket[]>(`SHOW CREATE PROCEDURE ${name}`);
      expect(help[0]?.fabric_help).toMatch(new RegExp(`^${name.replace('.', ' ')}[^\n]*\n\n`));
    }
    const [help] = await client.query<RowDataPacket[]>('SHOW CREATE PROCEDURE group.create');
    expect(help[0]?.fabric_help).toMatch(
      /^group create group_id \[--description=NONE\] \[--synchronous\]\n\nCreate a group/,
    );
  });

  it('can ask for JSON', async () => {
    await client.query('SET format=json');
    const [set] = await call("CALL group.lookup_servers('my_group', status=3)");
    expect(set?.columns).toEqual([['json', text]]);
    expect(set?.rows).toHaveLength(1);
    expect(JSON.parse(String(set?.rows[0]?.[0]))).toEqual([
      [{ fabric_uuid: FABRIC_UUID, ttl: 1, message: null }],
      [{ server_uuid: UUIDS[2], address: '127.0.0.1:34004', status: 'PRIMARY', mode: 'READ_WRITE', weight: 1 }],
    ]);
    await client.reset();
    expect((await call('CALL manage.ping()'))[0]?.columns).toEqual(INFO);
  });

  it('cannot be prepared', async () => {
    expect(await refusalOf(client.execute('CALL manage.ping()'))).toMatchObject({ errno: 1295 });
    expect(await refusalOf(client.execute('SET format=json'))).toMatchObject({ errno: 1295 });
    expect(await call('CALL manage.ping()')).toEqual([{ columns: INFO, rows: [GOOD] }]);
  });
});

describe('logging in', () => {
  it('needs the right user and password', async () => {
    for (const wrong of [
      { password: 'wrong' },
      { password: '' },
      { user: 'nobody' },
      { user: '' },
      { user: 'Admin' },
    ]) {
      const user = wrong.user ?? 'admin';
      expect(await refusalOf(logIn(wrong))).toEqual({
        errno: 1044,
        sqlState: '42000',
        message: `[Fabric] Access denied for user '${user}'`,
      });
    }
  });

  it('can be switched off', async () => {
    const protocol = { ...PROTOCOL, mysql: { address: '127.0.0.1:0', disableAuthentication: true } };
    const open = await createFakeFabric({ protocol });
    const anybody = await mysql.createConnection({ ...addressOf(open.fabric), user: 'x' });
    await anybody.query('CALL manage.ping()');
    await anybody.end();
    await open.fabric.stop();
  });

  it('works from many clients at once, of any character set', async () => {
    const charsets = ['utf8mb4', 'latin1', 'utf8_general_ci', 'cp1251', 'utf8mb4_0900_ai_ci'];
    const clients = await Promise.all(
      charsets.flatMap(charset => Array.from({ length: 10 }, () => logIn({ charset }))),
    );
    await Promise.all(clients.map(each => each.query('CALL dump.servers()')));
    await Promise.all(clients.map(each => each.end()));
  });

  it('shows the version of the package behind one that connectors take', () => {
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(SERVER_VERSION).toBe(`5.7.9-${manifest.version}-fabric`);
  });
});

/** A client that sends what it likes. */
interface RawClient {
  readonly socket: Socket;
  send(sequence: number, payload: Uint8Array): void;
  /** The next packet; null when the connection has ended. */
  receive(): Promise<{ readonly sequence: number; readonly payload: Buffer } | null>;
}

async function rawClient({ host, port }: { host: string; port: number } = addressOf()): Promise<RawClient> {
  const socket = connect(port, host);
  const reader = new PacketReader(0xff_ffff);
  let ended = false;
  socket.on('error', () => {});
  socket.on('data', chunk => reader.add(chunk));
  const closed = new Promise<void>(resolve => {
    socket.on('close', () => {
      ended = true;
      resolve();
    });
  });
  await once(socket, 'connect');
  return {
    socket,
    send: (sequence, payload) => socket.write(framed(sequence, payload)),
    async receive() {
      for (;;) {
        const packet = reader.next();
        if (packet && packet !== 'too large') return packet;
        if (ended) return null;
        const heard = new AbortController();
        await Promise.race([once(socket, 'data', { signal: heard.signal }).catch(() => {}), closed]);
        heard.abort();
      }
    },
  };
}

function framed(sequence: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, payload]);
}

const PROTOCOL_41 = 0x200;
const MULTI_RESULTS = 0x2_0000;
const PLUGIN_AUTH = 0x8_0000;
const FLAGS = PROTOCOL_41 | MULTI_RESULTS | 0x8000;

function handshakeResponse({ flags = FLAGS, user = 'admin', token = Buffer.alloc(20), plugin = '' } = {}): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(flags, 0);
  head[8] = 33;
  const proof = Buffer.concat([Buffer.from([token.length]), token]);
  return Buffer.concat([head, Buffer.from(`${user}\0`), proof, Buffer.from(plugin && `${plugin}\0`)]);
}

const errnoOf = (packet: { payload: Buffer } | null) =>
  packet?.payload[0] === 0xff ? packet.payload.readUInt16LE(1) : packet;
const query = (sql: string) => Buffer.from(`\x03${sql}`);

/** Past the greeting, of an endpoint that lets anybody in. */
async function loggedIn(address: { host: string; port: number }): Promise<RawClient> {
  const raw = await rawClient(address);
  await raw.receive();
  raw.send(1, handshakeResponse());
  expect((await raw.receive())?.payload[0]).toBe(0);
  return raw;
}

/** The endpoint alone, with the command `test.wait`, which waits for `letGo`. */
async function withEndpoint(
  limits: NonNullable<FabricNodeOptions['protocol']>['mysql'],
  work: (parts: {
    endpoint: Awaited<ReturnType<typeof startMysql>>;
    address: { host: string; port: number };
    letGo: () => void;
  }) => Promise<void>,
): Promise<void> {
  let letGo = () => {};
  const go = new Promise<void>(resolve => {
    letGo = resolve;
  });
  const command = (name: string, run: () => Promise<string>) =>
    read({ name, doc: '', params: [], sets: [[column('x', 'string')]], run: async () => [[[await run()]]] });
  const commands = new Map([
    ['test.wait', command('test.wait', () => go.then(() => 'gone'))],
    ['test.smile', command('test.smile', async () => '\u{1f600}')],
    ['test.long', command('test.long', async () => 'x'.repeat(8 * 1024 * 1024))],
  ]);
  const log = { debug() {}, info() {}, warn() {}, error: console.error };
  const open = { address: '127.0.0.1:0', disableAuthentication: true };
  const protocol = { xmlrpc: open, mysql: { ...open, ...limits } };
  const { mysql: options } = parseFabricOptions({ servers: { password: 'x' }, protocol }).protocol;
  const statistics = { called() {}, failed() {} };
  const context = { log, commands, statistics, options: { connector: { ttl: 1 } } };
  const endpoint = await startMysql(options as NonNullable<typeof options>, context as never);
  endpoint.open();
  await work({ endpoint, address: endpoint.address, letGo }).finally(() => endpoint.stop(0));
}

describe('the handshake', () => {
  it('greets with protocol 10, a version, and a seed that is text', async () => {
    for (let n = 0; n < 20; n += 1) {
      const raw = await rawClient();
      const greeting = await raw.receive();
      const payload = greeting?.payload.toString('latin1') ?? '';
      expect(greeting?.sequence).toBe(0);
      expect(payload).toMatch(/^\n[\d.]+-[\d.]+-fabric\0/);
      const afterVersion = payload.slice(payload.indexOf('\0') + 1);
      expect(afterVersion.slice(4, 12)).toMatch(/^[0-o]{8}$/);
      expect(afterVersion.charCodeAt(15)).toBe(33);
      expect(afterVersion.slice(31)).toMatch(/^[0-o]{12}\0mysql_native_password\0$/);
      raw.socket.destroy();
    }
  });

  it.each([
    ['neither protocol 4.1', FLAGS & ~PROTOCOL_41],
    ['nor multiple results', FLAGS & ~MULTI_RESULTS],
  ])('refuses a client that speaks %s', async (_what, flags) => {
    const raw = await rawClient();
    await raw.receive();
    raw.send(1, handshakeResponse({ flags }));
    const answer = await raw.receive();
    expect(errnoOf(answer)).toBe(1002);
    expect(answer?.payload.toString('latin1', 3)).toMatch(flags & PROTOCOL_41 ? /^#HY000\[Fabric\]/ : /^\[Fabric\]/);
    expect(await raw.receive()).toBeNull();
  });

  it('asks a client that tries another plugin for this one', async () => {
    for (const right of [true, false]) {
      await withEndpoint({}, async ({ address }) => {
        const raw = await rawClient(right ? address : addressOf());
        await raw.receive();
        raw.send(1, handshakeResponse({ flags: FLAGS | PLUGIN_AUTH, plugin: 'caching_sha2_password' }));
        const request = await raw.receive();
        expect(request?.sequence).toBe(2);
        expect(request?.payload.toString('latin1')).toMatch(/^\xfemysql_native_password\0[0-o]{20}\0$/);
        raw.send(3, Buffer.alloc(20));
        const answer = await raw.receive();
        expect(answer?.sequence).toBe(4);
        expect(right ? answer?.payload[0] : errnoOf(answer)).toBe(right ? 0 : 1044);
        raw.socket.destroy();
      });
    }
  });

  it.each([
    ['speaks before it is greeted', framed(0, query('CALL manage.ping()'))],
    ['begins with a wrong number', framed(7, handshakeResponse())],
    ['says nothing in it', framed(1, Buffer.alloc(0))],
    ['breaks off in it', framed(1, handshakeResponse().subarray(0, 6))],
    ['speaks HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['sends too much', framed(1, Buffer.alloc(20_000, 1))],
  ])('sends away a client that %s', async (_what, bytes) => {
    const raw = await rawClient();
    raw.socket.write(bytes);
    await raw.receive();
    let last: Awaited<ReturnType<RawClient['receive']>> = null;
    for (let packet = await raw.receive(); packet; packet = await raw.receive()) last = packet;
    expect([1043, 1153, null]).toContain(errnoOf(last));
    await client.query('CALL manage.ping()');
  });
});

describe('the commands of the protocol', () => {
  it('are answered one after the other, with their numbers', async () => {
    await withEndpoint({}, async ({ address, letGo }) => {
      const raw = await loggedIn(address);
      // A client need not wait for an answer before it asks again.
      const asked = [query('CALL test.wait()'), Buffer.from([0x0e]), query('SELECT 1')];
      raw.socket.write(Buffer.concat(asked.map(payload => framed(0, payload))));
      const first = raw.receive();
      expect(await Promise.race([first, sleep(50, 'nothing')])).toBe('nothing');
      letGo();
      const sequences = [(await first)?.sequence];
      while (sequences.length < 14) sequences.push((await raw.receive())?.sequence);
      expect(sequences).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 1]);
    });
  });

  it('are answered in UTF-8, whatever the character', async () => {
    await withEndpoint({}, async ({ address }) => {
      const raw = await loggedIn(address);
      raw.send(0, query('CALL test.smile()'));
      const packets: Buffer[] = [];
      // The columns, the row and the two ends of two sets.
      while (packets.length < 12) packets.push((await raw.receive())?.payload ?? Buffer.alloc(0));
      expect(packets[10]?.toString('hex')).toBe('04f09f9880');
    });
  });

  it('may be those that the mysql client sends by habit', async () => {
    await withEndpoint({}, async ({ address }) => {
      const raw = await loggedIn(address);
      const answers = async (payload: Buffer) => {
        raw.send(0, payload);
        const packet = await raw.receive();
        expect(packet?.sequence).toBe(1);
        return packet?.payload[0] === 0 ? 'ok' : errnoOf(packet);
      };
      for (const sql of ['select @@version_comment limit 1', 'SELECT DATABASE()', 'show databases', 'show tables'])
        expect(await answers(query(sql)), sql).toBe('ok');
      expect(await answers(Buffer.from('\x02fabric'))).toBe('ok');
      // For completing names, and for `status`.
      expect(await answers(Buffer.from('\x04table\0'))).toBe(1047);
      expect(await answers(Buffer.from([0x09]))).toBe(1047);
      // It sends each statement by itself; who sends two at once has them refused, and none is carried out.
      expect(await answers(query('CALL test.wait(); CALL test.wait()'))).toBe(1149);
      expect(await answers(Buffer.from([0x0e]))).toBe('ok');
      raw.send(0, Buffer.from([0x01]));
      expect(await raw.receive()).toBeNull();
    });
  });

  it.each([
    ['DEBUG', [0x0d], 1047],
    ['one that does not exist', [0x7f], 1047],
    ['one that looks like an error', [0xff, 1, 2], 1047],
    ['CHANGE_USER', [0x11, 0x61, 0], 1047],
    ['FIELD_LIST', [0x04, 0x61, 0], 1047],
    ['nothing', [], 1047],
    ['STMT_PREPARE', [0x16, 0x53], 1295],
    ['STMT_EXECUTE', [0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0], 1295],
    ['INIT_DB', [0x02, 0x61], 0],
    ['PING', [0x0e], 0],
    ['RESET_CONNECTION', [0x1f], 0],
  ])('%s gets its answer', async (_what, payload, errno) => {
    await withEndpoint({}, async ({ address }) => {
      const raw = await loggedIn(address);
      // Two to which there is no answer come first.
      raw.send(0, Buffer.from([0x19, 1, 0, 0, 0]));
      raw.send(0, Buffer.from([0x18, 1, 0, 0, 0, 0, 0, 1]));
      raw.send(0, Buffer.from(payload));
      const answer = await raw.receive();
      expect(errno === 0 ? answer?.payload[0] : errnoOf(answer)).toBe(errno);
      raw.send(0, Buffer.from([0x01]));
      expect(await raw.receive()).toBeNull();
    });
  });

  it('may arrive byte by byte', async () => {
    await withEndpoint({}, async ({ address }) => {
      const raw = await loggedIn(address);
      for (const byte of Buffer.concat([framed(0, query('SELECT 1')), framed(0, Buffer.from([0x0e]))])) {
        raw.socket.write(Buffer.from([byte]));
        await sleep(1);
      }
      expect((await raw.receive())?.payload[0]).toBe(0);
      expect((await raw.receive())?.payload[0]).toBe(0);
    });
  });

  it('end with the connection when they are too large or out of order', async () => {
    await withEndpoint({}, async ({ address }) => {
      const largest = await loggedIn(address);
      largest.send(0, query('x'.repeat(1024 * 1024 - 1)));
      expect((await largest.receive())?.payload[0]).toBe(0);
      const tooLarge = await loggedIn(address);
      tooLarge.send(0, query('x'.repeat(1024 * 1024)));
      expect(errnoOf(await tooLarge.receive())).toBe(1153);
      expect(await tooLarge.receive()).toBeNull();
      const outOfOrder = await loggedIn(address);
      outOfOrder.send(1, query('SELECT 1'));
      expect(errnoOf(await outOfOrder.receive())).toBe(1156);
      expect(await outOfOrder.receive()).toBeNull();
    });
  });
});

describe('clients that cost', () => {
  it('are let go when they do not log in, or do not ask', async () => {
    await withEndpoint({ loginTimeout: 0.2, idleTimeout: 0.4 }, async ({ address, letGo }) => {
      const silent = await rawClient(address);
      const halfway = await rawClient(address);
      halfway.socket.write(framed(1, handshakeResponse()).subarray(0, 20));
      const idle = await loggedIn(address);
      const halfCommand = await loggedIn(address);
      halfCommand.socket.write(framed(0, query('SELECT 1')).subarray(0, 8));
      const busy = await loggedIn(address);
      busy.send(0, query('CALL test.wait()'));
      const started = performance.now();
      for (const raw of [silent, halfway]) expect((await raw.receive())?.sequence).toBe(0);
      for (const raw of [silent, halfway, idle, halfCommand]) expect(await raw.receive()).toBeNull();
      expect(performance.now() - started).toBeLessThan(3_000);
      // The node's own time is not the client's.
      letGo();
      expect((await busy.receive())?.sequence).toBe(1);
    });
  });

  it('are let go when they do not read', async () => {
    await withEndpoint({ idleTimeout: 0.5 }, async ({ address }) => {
      const raw = await loggedIn(address);
      raw.socket.pause();
      for (let n = 0; n < 20; n += 1) raw.send(0, query('CALL test.long()'));
      await sleep(1_500);
      const closed = once(raw.socket, 'close');
      raw.socket.resume();
      await closed;
      // One answer under way, and what the system keeps; not twenty.
      expect(raw.socket.bytesRead).toBeLessThan(40 * 1024 * 1024);
    });
  });

  it('are so many at most', async () => {
    await withEndpoint({ maxConnections: 3 }, async ({ address }) => {
      const clients = [await loggedIn(address), await loggedIn(address), await loggedIn(address)];
      const oneTooMany = await rawClient(address);
      await oneTooMany.receive();
      oneTooMany.send(1, handshakeResponse());
      expect(errnoOf(await oneTooMany.receive())).toBe(1040);
      expect(await oneTooMany.receive()).toBeNull();
      clients[0]?.send(0, Buffer.from([0x01]));
      await clients[0]?.receive();
      await loggedIn(address);
    });
  });

  it('keep nobody out who logs in', async () => {
    await withEndpoint({ maxConnections: 5 }, async ({ address }) => {
      const silent = await Promise.all(Array.from({ length: 40 }, () => rawClient(address)));
      const started = performance.now();
      const raw = await loggedIn(address);
      raw.send(0, Buffer.from([0x0e]));
      expect((await raw.receive())?.payload[0]).toBe(0);
      expect(performance.now() - started).toBeLessThan(1_000);
      for (const { socket } of silent) socket.destroy();
    });
  });
});

describe('start and stop', () => {
  it('list and show both addresses, while the node runs', async () => {
    const { fabric } = node;
    const { xmlrpc } = fabric.address;
    const nodes = (await call('CALL dump.fabric_nodes()'))[1]?.rows;
    expect(nodes).toEqual([
      ['127.0.0.1', addressOf().port],
      ['127.0.0.1', xmlrpc.port],
    ]);
    expect((await call("CALL dump.fabric_nodes('protocol.mysql')"))[1]?.rows).toEqual(nodes?.slice(0, 1));
    expect((await call("CALL dump.fabric_nodes('protocol.xmlrpc')"))[1]?.rows).toEqual(nodes?.slice(1));
  });

  it('do without the endpoint when it is not configured', async () => {
    const fabric = createFabric({ servers: { password: 'x' }, protocol: { xmlrpc: PROTOCOL.xmlrpc } });
    expect(fabric.address.mysql).toBeUndefined();
    await fabric.start();
    expect(fabric.address.mysql).toBeUndefined();
    expect((await fabric.call('dump.fabric_nodes')).rows).toHaveLength(1);
    await fabric.stop();
  });

  it('say when the address is taken, and leave nothing open', async () => {
    const { host, port } = addressOf();
    const protocol = { ...PROTOCOL, mysql: { address: `${host}:${port}`, password: 'x' } };
    const fabric = createFabric({ servers: { password: 'x' }, protocol });
    expect(fabric.address.mysql).toEqual({ host, port });
    await expect(fabric.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await node.fabric.stop();
    await fabric.start();
    await fabric.stop();
    await fabric.stop();
    await expect(once(connect(port, host), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('end every session, after the command under way', async () => {
    await withEndpoint({}, async ({ endpoint, address, letGo }) => {
      const idle = await loggedIn(address);
      const stranger = await rawClient(address);
      const busy = await loggedIn(address);
      busy.send(0, Buffer.concat([query('CALL test.wait()')]));
      busy.send(0, Buffer.from([0x0e]));
      await sleep(50);
      const stopped = endpoint.stop(5_000);
      await stranger.receive();
      expect([await idle.receive(), await stranger.receive()]).toEqual([null, null]);
      letGo();
      let packets = 0;
      while (await busy.receive()) packets += 1;
      expect(packets).toBe(12);
      await stopped;
    });
  });

  it('wait no longer than the grace', async () => {
    await withEndpoint({}, async ({ endpoint, address }) => {
      const busy = await loggedIn(address);
      busy.send(0, query('CALL test.wait()'));
      await sleep(50);
      const started = performance.now();
      await endpoint.stop(200);
      expect(performance.now() - started).toBeLessThan(2_000);
      expect(await busy.receive()).toBeNull();
    });
  });
});

describe('garbage', () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
  const payload = fc.oneof(
    bytes(64),
    bytes(2_000),
    // A right one with some bytes changed.
    fc
      .tuple(fc.constantFrom(FLAGS, FLAGS | PLUGIN_AUTH | 0x8, 0xffff_ffff), bytes(8), fc.nat(60))
      .map(([flags, change, at]) => {
        const response = handshakeResponse({ flags, plugin: 'mysql_native_password' });
        response.set(change.subarray(0, response.length - at), at);
        return response;
      }),
    fc.tuple(fc.nat(0x20), bytes(40)).map(([code, rest]) => Buffer.from([code, ...rest])),
    fc.string({ maxLength: 80 }).map(sql => query(`CALL ${sql}`)),
    fc.string({ maxLength: 80 }).map(list => query(`CALL group.lookup_servers(${list})`)),
  );
  const packet = fc
    .tuple(fc.constantFrom(0, 0, 1, 1, 2, 255), payload)
    .map(([sequence, body]) => framed(sequence, body));
  const input = fc.array(fc.oneof(packet, bytes(300)), { minLength: 1, maxLength: 4 });

  async function throwAt(address: { host: string; port: number }, chunks: readonly Uint8Array[], prepared: boolean) {
    const raw = prepared ? await loggedIn(address) : await rawClient(address);
    if (!prepared && chunks.length % 2) await raw.receive();
    for (const chunk of chunks) raw.socket.write(chunk);
    raw.socket.end();
    while (await raw.receive());
  }

  it.each([false, true])('harms nobody (after logging in: %s)', { timeout: 60_000 }, async prepared => {
    await withEndpoint({ maxConnections: 50 }, async ({ endpoint, address }) => {
      const inputs = fc.sample(input, 3_000);
      const throwers = Array.from({ length: 20 }, async (_, n) => {
        for (let at = n; at < inputs.length; at += 20) await throwAt(address, inputs[at] ?? [], prepared);
      });
      await Promise.all(throwers);
      const raw = await loggedIn(address);
      raw.send(0, Buffer.from([0x0e]));
      expect((await raw.receive())?.payload[0]).toBe(0);
      raw.socket.destroy();
      const started = performance.now();
      await endpoint.stop(5_000);
      expect(performance.now() - started).toBeLessThan(1_500);
    });
  });
});
