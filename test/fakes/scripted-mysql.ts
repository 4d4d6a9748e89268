import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/** A MySQL server that does what a test says. It speaks just enough of the real protocol, over real TCP. */

export interface ScriptedMysql {
  readonly port: number;
  /** The texts of all statements received. */
  readonly statements: string[];
  /** The command bytes of everything received: 0x0e is a ping, 0x1f a reset of the session. */
  readonly commands: number[];
  readonly sockets: Set<Socket>;
  /** Connections ever made. */
  connections: number;
  /** Number of the error that new connections are refused with; 0: they are admitted. */
  refusal: number;
  /** New connections are greeted when this is settled. */
  admission: Promise<unknown>;
  /** What a statement is answered with. Default: OK. */
  script: (sql: string, answer: Answer) => void;
  close(): Promise<void>;
}

export interface Answer {
  ok(serverStatus?: number): void;
  error(errno: number, sqlState: string, message: string): void;
  /** One column of texts, named `a` unless said otherwise. Without `complete`, the rows never end. `end` of the columns: EOF. */
  rows(values: readonly string[], complete?: boolean, name?: string, end?: Buffer): void;
  raw(sequence: number, payload: Buffer): void;
  /** Cuts the connection. */
  cut(): void;
}

const AUTOCOMMIT = 2;
const CAPABILITIES = 0x0008_f7ff & ~0x0800 & ~0x20; // neither TLS nor compression

export async function startScriptedMysql(port = 0): Promise<ScriptedMysql> {
  const server = createServer(socket => {
    mysql.sockets.add(socket);
    mysql.connections += 1;
    socket.on('error', () => {});
    socket.on('close', () => mysql.sockets.delete(socket));
    if (mysql.refusal !== 0) {
      answerOn(socket, 0).error(mysql.refusal, '08004', 'refused');
      socket.end();
      return;
    }
    let greeted = false;
    const prepared: string[] = [];
    let buffered = Buffer.alloc(0);
    const id = mysql.connections;
    mysql.admission.then(() => send(socket, 0, greeting(id)));
    socket.on('data', chunk => {
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUIntLE(0, 3)) {
        const length = buffered.readUIntLE(0, 3);
        const payload = buffered.subarray(4, 4 + length);
        buffered = buffered.subarray(4 + length);
        if (greeted) command(socket, payload, prepared);
        else send(socket, 2, ok());
        greeted = true;
      }
    });
  });
  const run = (socket: Socket, sql: string): void => {
    mysql.statements.push(sql);
    mysql.script(sql, answerOn(socket));
  };
  const command = (socket: Socket, payload: Buffer, prepared: string[]): void => {
    const text = payload.subarray(1).toString('utf8');
    mysql.commands.push(payload[0] ?? 0);
    if (payload[0] === 1) socket.end();
    else if (payload[0] === 3) run(socket, text);
    else if (payload[0] === 0x16) send(socket, 1, preparedAs(prepared.push(text)));
    else if (payload[0] === 0x17) run(socket, prepared[payload.readUInt32LE(1) - 1] ?? '');
    else if (payload[0] !== 0x19) answerOn(socket).ok(); // the closing of a prepared statement is not answered
  };
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  const mysql: ScriptedMysql = {
    port: (server.address() as AddressInfo).port,
    statements: [],
    commands: [],
    sockets: new Set(),
    connections: 0,
    refusal: 0,
    admission: Promise.resolve(),
    script: (_sql, answer) => answer.ok(),
    async close() {
      for (const socket of mysql.sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
  return mysql;
}

function answerOn(socket: Socket, sequence = 1): Answer {
  return {
    ok: status => send(socket, 1, ok(status)),
    error: (errno, sqlState, message) => {
      const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
      send(socket, sequence, Buffer.concat([head, Buffer.from(`#${sqlState}${message}`)]));
    },
    rows: (values, complete = true, name = 'a', end = eof()) => {
      send(socket, 1, Buffer.from([1]));
      send(socket, 2, column(name));
      send(socket, 3, end);
      for (const [i, value] of values.entries()) send(socket, 4 + i, text(value));
      if (complete) send(socket, 4 + values.length, eof());
    },
    raw: (sequence, payload) => send(socket, sequence, payload),
    cut: () => socket.destroy(),
  };
}

function send(socket: Socket, sequence: number, payload: Buffer): void {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence & 0xff;
  socket.write(Buffer.concat([head, payload]));
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)]);
const ok = (status = AUTOCOMMIT): Buffer => Buffer.from([0, 0, 0, status & 0xff, status >> 8, 0, 0]);
const eof = (status = AUTOCOMMIT): Buffer => Buffer.from([0xfe, 0, 0, status, 0]);

/** The answer to a statement without parameters and columns. */
function preparedAs(id: number): Buffer {
  const answer = Buffer.alloc(12);
  answer.writeUInt32LE(id, 1);
  return answer;
}

function column(name: string): Buffer {
  const names = ['def', '', '', '', name, name].map(text);
  const rest = Buffer.from([0x0c, 45, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0]);
  return Buffer.concat([...names, rest]);
}

function greeting(id: number): Buffer {
  const capabilities = Buffer.alloc(4);
  capabilities.writeUInt32LE(CAPABILITIES >>> 0);
  const threadId = Buffer.alloc(4);
  threadId.writeUInt32LE(id);
  return Buffer.concat([
    Buffer.from([10]),
    Buffer.from('8.0.99\0'),
    threadId,
    Buffer.from('12345678\0'),
    capabilities.subarray(0, 2),
    Buffer.from([45, AUTOCOMMIT, 0]),
    capabilities.subarray(2),
    Buffer.from([21]),
    Buffer.alloc(10),
    Buffer.from('123456789012\0'),
    Buffer.from('mysql_native_password\0'),
  ]);
}
