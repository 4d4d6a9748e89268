import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createConnection } from 'mysql2/promise';
import { PacketReader } from '../../src/fabric/endpoints/mysql-packets.js';
import { type Input, mutate, mutations, type Protocol, type Replies } from './protocol.js';

/** Packets to the endpoint of the MySQL protocol, right and wrong ones, and what is a right answer. */

const PROTOCOL_41 = 0x200;
const MULTI_RESULTS = 0x2_0000;
const SECURE_CONNECTION = 0x8000;
const PLUGIN_AUTH = 0x8_0000;
const FLAGS = PROTOCOL_41 | MULTI_RESULTS | SECURE_CONNECTION;

const STATEMENTS = [
  'CALL manage.ping()',
  "CALL dump.servers(0, 'my_group')",
  'call `dump`.`fabric_nodes`("protocol.mysql");',
  "CALL group.lookup_servers(my_group, status = 'PRIMARY', mode=NULL)",
  "CALL group.health('my_group', timeout=1) -- so",
  "/* x */ CALL server.lookup_uuid('127.0.0.1:34002', 1)",
  "CALL threat.report_error('7f620b72-e5e4-11f1-a89c-02fc0000ffff', 'me \\' \\\\', `2003`)",
  'SHOW CREATE PROCEDURE group.create',
  'SELECT * FROM INFORMATION_SCHEMA.ROUTINES',
  'SET format=json',
  'SET NAMES utf8mb4',
  'select @@version_comment limit 1',
];
/** Commands with an answer: all there are but QUIT, and those of a prepared statement that have none. */
const CODES = Array.from({ length: 256 }, (_, code) => code).filter(code => ![0x01, 0x18, 0x19].includes(code));

const statement = fc.oneof(
  fc.constantFrom(...STATEMENTS),
  fc.tuple(fc.constantFrom(...STATEMENTS), mutations).map(([sql, changes]) => mutate(sql, changes)),
  fc.string({ maxLength: 80 }).map(list => `CALL group.lookup_servers(${list})`),
);
const command = fc.oneof(
  { weight: 4, arbitrary: statement.map(sql => `\x03${sql}`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...CODES), fc.string({ maxLength: 40 }))
      .map(([code, rest]) => String.fromCharCode(code) + rest),
  },
);
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
const once = (framed: boolean, bytes: Buffer): Input => ({ framed, bytes: () => bytes });

/** @param password null: the thrower has no account. */
export function mysql(port: number, password: string | null): Protocol {
  const name = `MySQL, ${password === null ? 'a stranger' : 'logged in'}`;
  // More than are made to wait for their wrong passwords.
  if (password === null) return { name, port, connections: 320, input: strangers, greeting: { answer: null }, judge };
  const input = fc.oneof(
    { weight: 4, arbitrary: command.map(text => once(true, packet(0, bytesOf(text)))) },
    { weight: 1, arbitrary: brokenPackets },
  );
  return {
    name,
    port,
    connections: 48,
    input,
    before: () => untilLetIn(port, password),
    greeting: { answer: greeting => packet(1, login('admin', token(password, seedOf(greeting)))) },
    judge,
  };
}

/** ms; the longest delay that follows from wrong passwords is a fifth of it. */
const PATIENCE = 20_000;

async function untilLetIn(port: number, password: string): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      const connection = await createConnection({ host: '127.0.0.1', port, user: 'admin', password });
      connection.destroy();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

const brokenPackets = fc.oneof(
  fc
    .tuple(command, mutations)
    .map(([text, changes]) => once(false, bytesOf(mutate(packet(0, bytesOf(text)).toString('latin1'), changes)))),
  fc
    .tuple(fc.nat(0xff_ffff), fc.nat(255), fc.uint8Array({ maxLength: 200 }))
    .map(([length, sequence, rest]) => once(false, Buffer.concat([header(length, sequence), rest]))),
  fc.tuple(fc.constantFrom(1, 2, 255), command).map(([sequence, text]) => once(false, packet(sequence, bytesOf(text)))),
  fc.constantFrom(0x01, 0x18, 0x19).map(code => once(false, packet(0, Buffer.from([code, 1, 0, 0, 0])))),
  fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }).map(all => once(false, Buffer.concat(all))),
);

const user = fc.oneof(fc.constantFrom('admin', '', 'root'), fc.string({ maxLength: 40 }));
const response = fc
  .tuple(
    fc.oneof(
      fc.constantFrom(FLAGS, FLAGS | PLUGIN_AUTH, FLAGS | 0x8 | 0x10_0000, FLAGS | 0x20_0000, FLAGS | 0x800, -1),
      fc.integer(),
    ),
    user,
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('', 'mysql_native_password', 'caching_sha2_password', 'x'),
  )
  .map(([flags, name, proof, plugin]) => login(name.replaceAll('\0', ''), Buffer.from(proof), flags, plugin));
const strangers = fc.oneof(
  response.map(payload => once(false, packet(1, payload))),
  fc
    .tuple(response, mutations)
    .map(([payload, changes]) => once(false, packet(1, bytesOf(mutate(payload.toString('latin1'), changes))))),
  fc
    .tuple(response, mutations)
    .map(([payload, changes]) => once(false, bytesOf(mutate(packet(1, payload).toString('latin1'), changes)))),
  // The same, with commands behind it: nobody has let them in.
  fc
    .tuple(response, command)
    .map(([payload, text]) =>
      once(false, Buffer.concat([packet(1, payload), packet(3, Buffer.alloc(20)), packet(0, bytesOf(text))])),
    ),
  fc
    .constantFrom(0, 1, 32)
    .map(extra =>
      once(
        false,
        packet(1, Buffer.concat([login('', Buffer.alloc(0), FLAGS | 0x800).subarray(0, 32), Buffer.alloc(extra)])),
      ),
    ),
  brokenPackets,
);

function login(name: string, proof: Buffer, flags = FLAGS, plugin = ''): Buffer {
  const head = Buffer.alloc(32);
  head.writeInt32LE(flags | 0, 0);
  head[8] = 33;
  const rest = plugin === '' ? '' : `${plugin}\0`;
  return Buffer.concat([head, bytesOf(`${name}\0`), Buffer.from([proof.length]), proof, bytesOf(rest)]);
}

function token(password: string, seed: Buffer): Buffer {
  const sha1 = (...parts: readonly (Buffer | string)[]) => {
    const hash = createHash('sha1');
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const stage1 = sha1(password);
  const mask = sha1(seed, sha1(stage1));
  return Buffer.from(stage1.map((byte, index) => byte ^ (mask[index] ?? 0)));
}

/** Of a greeting: 8 bytes behind the version and the number of the connection, 12 behind the flags. */
function seedOf(greeting: Buffer): Buffer {
  const at = greeting.indexOf(0, 5) + 5;
  return Buffer.concat([greeting.subarray(at, at + 8), greeting.subarray(at + 27, at + 39)]);
}

function header(length: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUIntLE(length, 0, 3);
  bytes[3] = sequence;
  return bytes;
}

function packet(sequence: number, payload: Buffer): Buffer {
  return Buffer.concat([header(payload.length, sequence), payload]);
}

const MORE_RESULTS = 0x8;

/** The greeting, then answers: OK, an error, a request to authenticate otherwise, or a chain of result sets; each packet with the next number. */
function judge(heard: Buffer, ended: boolean): Replies {
  const packets = packetsOf(heard, ended);
  let answers = 0;
  let last = false;
  for (let at = 0; at < packets.length; ) {
    if (last) throw new Error('A packet behind a farewell');
    const [first, next] = answers === 0 ? [packets[0]?.payload[0], 1] : [0x0a, endOfAnswer(packets, at)];
    if (answers === 0 && first !== 0x0a) throw new Error('The node does not greet');
    if (next === null) {
      if (ended) throw new Error('An answer breaks off');
      break;
    }
    for (let n = at + 1; n < next; n += 1) {
      if (packets[n]?.sequence !== ((packets[n - 1]?.sequence ?? 0) + 1) % 256)
        throw new Error('A packet has the wrong number');
    }
    const errno = packets[at]?.payload[0] === 0xff ? packets[at]?.payload.readUInt16LE(1) : 0;
    last = [1002, 1040, 1043, 1044, 1153, 1156].includes(errno ?? 0);
    // Behind the login each command begins to count anew; only who is sent away may have counted wrong.
    if (answers >= 2 && !last && packets[at]?.sequence !== 1) throw new Error('An answer has the wrong number');
    answers += 1;
    at = next;
  }
  return { answers, last };
}

interface Received {
  readonly sequence: number;
  readonly payload: Buffer;
}

function packetsOf(heard: Buffer, ended: boolean): Received[] {
  const reader = new PacketReader(0xff_ffff);
  reader.add(heard);
  const packets: Received[] = [];
  let length = 0;
  for (let next = reader.next(); next && next !== 'too large'; next = reader.next()) {
    packets.push(next);
    length += next.bytes.length;
  }
  if (ended && length < heard.length) throw new Error('A packet breaks off');
  return packets;
}

/** The index behind the answer that begins here; null: there is more to come. */
function endOfAnswer(packets: readonly Received[], start: number): number | null {
  const { payload } = packets[start] as Received;
  const [kind = -1] = payload;
  if (kind === 0xff) {
    if (!/^(#[\dA-Z]{5})?\[Fabric\] /.test(payload.toString('utf8', 3))) throw new Error('An error without its words');
    return start + 1;
  }
  if (kind === 0xfe) return start + 1;
  if (kind === 0) {
    if (payload.length < 7) throw new Error('An OK that is too short');
    return start + 1;
  }
  for (let at = start; ; ) {
    const columns = packets[at]?.payload;
    if (!columns) return null;
    if (columns.length !== 1 || (columns[0] ?? 0) > 60) throw new Error('No number of columns');
    const definitions = packets.slice(at + 1, at + 1 + (columns[0] ?? 0));
    if (
      definitions.some(
        each => each.payload.toString('latin1', 1, 4) !== 'def' && each.payload.toString('latin1', 1, 7) !== 'fabric',
      )
    )
      throw new Error('No definition of a column');
    at += 1 + (columns[0] ?? 0);
    if (packets[at] && !isEof(packets[at])) throw new Error('No end of the columns');
    for (at += 1; packets[at] && !isEof(packets[at]); at += 1)
      checkRow(packets[at]?.payload as Buffer, columns[0] ?? 0);
    const end = packets[at];
    if (!end) return null;
    at += 1;
    if (!(end.payload.readUInt16LE(3) & MORE_RESULTS)) return at;
  }
}

const isEof = (packet: Received | undefined): boolean => packet?.payload[0] === 0xfe && packet.payload.length === 5;

/** So many texts or NULLs, and nothing behind them. */
function checkRow(row: Buffer, columns: number): void {
  let at = 0;
  for (let n = 0; n < columns; n += 1) {
    const first = row[at] ?? -1;
    const size = first === 0xfc ? 2 : first === 0xfd ? 3 : 0;
    at += 1 + size + (first === 0xfb ? 0 : size === 0 ? first : row.readUIntLE(at + 1, size));
  }
  if (at !== row.length) throw new Error('A row that is not of its columns');
}
