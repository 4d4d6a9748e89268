import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createConnection } from 'mysql2';
import type { Answer } from './mysql-answers.js';
import { createSeed, NATIVE_PASSWORD } from './mysql-login.js';
import { authSwitchPacket, errorPacket, type Packet, type RawPacket } from './mysql-packets.js';
import { type MysqlColumn, type TextSet, UTF8 } from './mysql-results.js';

/**
 * The one place that knows mysql2's server half. It greets, reads the client's answer to that, and writes. It does not read commands: mysql2
 * answers SET and PREPARE alike, takes packets of any length and prints what it does not understand.
 */
export interface ClientConnection {
  /** Whether the greeting has been written: who speaks before is no client. */
  readonly greeted: boolean;
  /** What the client's proof of its password must answer. */
  readonly seed: Buffer;
  /** Takes the client's answer to the greeting; null when it cannot be read. */
  login(packet: Packet): Promise<Login | null>;
  /** From here on what is written goes to this socket. */
  moveTo(socket: Socket): void;
  /** Asks the client to authenticate with `mysql_native_password` after all. */
  askForNativePassword(after: Packet): void;
  /** Writes what answers this packet. */
  answer(packet: Packet, answer: Answer): void;
  /** The socket stays as it is. */
  close(): void;
}

export interface Login {
  readonly user: string;
  readonly token: Buffer;
  /** How the client has authenticated, where it says so. */
  readonly plugin: string | undefined;
}

export const PROTOCOL_41 = 0x200;
export const MULTI_RESULTS = 0x2_0000;
export const SSL = 0x800;
const SECURE_CONNECTION = 0x8000;
/** The plain numbers are LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, TRANSACTIONS and PLUGIN_AUTH. The original lacked the last one; mysql2's greeting is not understood without it. */
const CAPABILITIES = 0x1 | 0x4 | 0x8 | PROTOCOL_41 | 0x2000 | SECURE_CONNECTION | MULTI_RESULTS | 0x8_0000;

const AUTOCOMMIT = 0x2;
const MORE_RESULTS = 0x8;

/** @throws Error when the installed mysql2 has no server half that this endpoint can use. */
export function requireServerHalf(): void {
  serverHalf(new Duplex({ read() {} })).close();
}

/** Greets the client. */
export function greet(greeted: Socket, id: number, serverVersion: string, encrypts: boolean): ClientConnection {
  let socket = greeted;
  const stream = streamOver(() => socket);
  const connection = serverHalf(stream);
  const seed = createSeed();
  let hasGreeted = false;
  let loggedIn: (login: Login | null) => void = () => {};
  connection.on('error', () => loggedIn(null));
  const greeting: Greeting = {
    protocolVersion: 10,
    serverVersion,
    connectionId: id,
    statusFlags: AUTOCOMMIT,
    characterSet: UTF8,
    capabilityFlags: encrypts ? CAPABILITIES | SSL : CAPABILITIES,
    authCallback: ({ user, authToken }) =>
      loggedIn({ user, token: Buffer.from(authToken), plugin: connection.clientHelloReply?.authPluginName }),
  };
  const handshake = connection.serverHandshake(greeting);
  // mysql2 takes the greeting's character set for CESU-8, in which two wrong characters stand for one beyond U+FFFF.
  greeting.encoding = 'utf8';
  handshake.on('error', () => loggedIn(null));
  beforeGreeting(handshake.serverHello, hello => {
    // mysql2 draws a seed of any bytes; many clients can only read text.
    hello.authPluginData1 = seed.subarray(0, 8);
    hello.authPluginData2 = seed.subarray(8);
    hasGreeted = true;
  });

  const write = (after: Packet, work: () => void): void => {
    connection.sequenceId = (after.sequence + 1) % 256;
    work();
  };
  return {
    get greeted() {
      return hasGreeted;
    },
    seed,
    login: packet =>
      new Promise(resolve => {
        loggedIn = resolve;
        stream.push(asFirstAnswer(packet.bytes));
      }),
    moveTo: encrypted => {
      socket = encrypted;
    },
    askForNativePassword: after => write(after, () => connection.writePacket(authSwitchPacket(NATIVE_PASSWORD, seed))),
    answer: (packet, answer) => write(packet, () => writeAnswer(connection, answer)),
    close: () => {
      loggedIn(null);
      stream.destroy();
    },
  };
}

/** mysql2 takes this for the socket: it reads what is pushed, and its bytes go to the real one, whose end is the session's affair. */
function streamOver(current: () => Socket): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      const socket = current();
      if (socket.writable) socket.write(chunk);
      done();
    },
  });
}

function serverHalf(stream: Duplex): ServerHalf {
  // By default half a megabyte is set aside for prepared statements, of which there are none.
  const quiet = { connectTimeout: 0, maxPreparedStatements: 1 };
  const connection: object = createConnection({ stream, isServer: true, ...quiet });
  if (!hasServerHalf(connection)) throw new Error('This version of mysql2 has no server half that Fabric can use.');
  return connection;
}

/** What of mysql2's server half is used; its types show less than it has. */
interface ServerHalf {
  sequenceId: number;
  readonly clientHelloReply?: { readonly authPluginName?: string };
  on(event: 'error', listener: (error: Error) => void): unknown;
  serverHandshake(greeting: Greeting): {
    readonly serverHello: ServerHello;
    on(event: 'error', listener: (error: Error) => void): unknown;
  };
  writePacket(packet: RawPacket): void;
  writeColumns(columns: readonly MysqlColumn[]): void;
  writeTextRow(cells: readonly (string | null)[]): void;
  writeEof(warnings: number, status: number): void;
  writeOk(fields: { readonly serverStatus: number }): void;
  close(): void;
}

interface Greeting {
  readonly protocolVersion: number;
  readonly serverVersion: string;
  readonly connectionId: number;
  readonly statusFlags: number;
  readonly characterSet: number;
  readonly capabilityFlags: number;
  /** Of what is written; mysql2 sets it. */
  encoding?: string;
  authCallback(login: { readonly user: string; readonly authToken: Buffer | string }): void;
}

interface ServerHello {
  authPluginData1: Buffer;
  authPluginData2: Buffer;
  toPacket(sequence: number): unknown;
}

function hasServerHalf(connection: object): connection is ServerHalf {
  const methods = ['serverHandshake', 'writePacket', 'writeColumns', 'writeTextRow', 'writeEof', 'writeOk', 'close'];
  return methods.every(name => typeof (connection as Record<string, unknown>)[name] === 'function');
}

function beforeGreeting(hello: ServerHello, work: (hello: ServerHello) => void): void {
  const toPacket = hello.toPacket.bind(hello);
  hello.toPacket = sequence => {
    work(hello);
    return toPacket(sequence);
  };
}

/** Where the client's answer to the greeting names its character set. mysql2 cannot read names in one that it does not know. */
const CHARACTER_SET = 12;

/** And the request for encryption has gone before it without mysql2's knowing. */
function asFirstAnswer(bytes: Buffer): Buffer {
  bytes[3] = 1;
  if (bytes.length > CHARACTER_SET) bytes[CHARACTER_SET] = UTF8;
  return bytes;
}

function writeAnswer(connection: ServerHalf, answer: Answer): void {
  if (answer.kind === 'refused') connection.writePacket(errorPacket(answer.refusal));
  else if (answer.kind === 'ok') connection.writeOk({ serverStatus: AUTOCOMMIT });
  else writeSets(connection, answer.sets);
}

/** Each set but the last one says that more come. */
function writeSets(connection: ServerHalf, sets: readonly TextSet[]): void {
  for (const [index, { columns, rows }] of sets.entries()) {
    connection.writeColumns(columns);
    for (const row of rows) connection.writeTextRow(row);
    connection.writeEof(0, AUTOCOMMIT | (index < sets.length - 1 ? MORE_RESULTS : 0));
  }
}
