import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Log } from '../log.js';
import type { Client } from './listener.js';
import { type Answer, OK, refusal, type SessionSettings } from './mysql-answers.js';
import { type ClientConnection, greet, MULTI_RESULTS, PROTOCOL_41, SSL } from './mysql-connection.js';
import { type LoginCheck, NATIVE_PASSWORD } from './mysql-login.js';
import { errorPacket, type Packet, PacketReader, type Refusal } from './mysql-packets.js';
import type { WrongPasswords } from './wrong-passwords.js';

/** One client of the MySQL protocol, from the greeting to the end: who it is, what it may cost, and one command after the other. */

/** Bounds on what a client may cost; milliseconds and bytes. */
export interface SessionLimits {
  readonly packet: number;
  readonly loginTimeout: number;
  readonly idleTimeout: number;
}

/** What all sessions of an endpoint share. */
export interface SessionParts {
  readonly limits: SessionLimits;
  readonly serverVersion: string;
  readonly log: Log;
  readonly knowsPassword: LoginCheck;
  readonly wrongPasswords: WrongPasswords;
  /** null: connections are not encrypted. */
  readonly encrypt: ((socket: Socket) => Socket) | null;
  /** Asked when a client has logged in; false: there are too many. */
  admit(session: MysqlSession): boolean;
  answer(sql: string, settings: SessionSettings, user: string): Promise<Answer>;
}

/** Before a client has logged in it can have nothing long to say. */
const FIRST_PACKET = 16 * 1024;
/** How long a client that is sent away gets to read why. */
const FAREWELL_MS = 1_000;

const COM_QUERY = 0x03;
const COM_QUIT = 0x01;
/** INIT_DB, PING and RESET_CONNECTION: there is nothing to do. */
const PLEASANTRIES: readonly number[] = [0x02, 0x0e, 0x1f];
const COM_RESET_CONNECTION = 0x1f;
/** PREPARE, EXECUTE, RESET and FETCH. */
const PREPARED: readonly number[] = [0x16, 0x17, 0x1a, 0x1c];
/** SEND_LONG_DATA and CLOSE of a prepared statement, to which the protocol has no answer. */
const UNANSWERED: readonly number[] = [0x18, 0x19];

const refused = (why: Refusal): Answer => ({ kind: 'refused', refusal: why });
/** Bytes of a login that breaks off before the user's name: the client wants to encrypt first. */
const SSL_REQUEST = 32;
const BAD_HANDSHAKE = refusal(1043, '08S01', 'Bad handshake');

export class MysqlSession implements Client {
  readonly closed: Promise<void>;
  #socket: Socket;
  readonly #parts: SessionParts;
  readonly #reader = new PacketReader(FIRST_PACKET);
  readonly #connection: ClientConnection;
  readonly #settings: SessionSettings = { json: false };
  #stage: 'greeted' | 'encrypted' | 'switched' | 'commands' = 'greeted';
  #user = '';
  #busy = false;
  #leaving = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, id: number, parts: SessionParts) {
    this.#socket = socket;
    this.#parts = parts;
    socket.setNoDelay(true);
    // Whatever ends a connection, the client has gone.
    socket.on('error', () => {});
    this.#connection = greet(socket, id, parts.serverVersion, parts.encrypt !== null);
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        clearTimeout(this.#timer);
        this.#leaving = true;
        this.#connection.close();
        resolve();
      });
    });
    this.#expire(parts.limits.loginTimeout);
    this.#listen();
  }

  #listen(): void {
    this.#socket.on('data', chunk => {
      this.#reader.add(chunk);
      this.#serve().catch((error: unknown) => this.#broke(error));
    });
  }

  finish(): void {
    if (this.#busy) this.#leaving = true;
    else this.destroy();
  }

  destroy(): void {
    this.#leaving = true;
    this.#socket.destroy();
  }

  /** Takes what has arrived, one packet after the other; meanwhile nothing more is read. */
  async #serve(): Promise<void> {
    if (this.#busy || this.#leaving) return;
    this.#busy = true;
    this.#socket.pause();
    for (let packet = this.#reader.next(); packet; packet = this.#leaving ? null : this.#reader.next()) {
      if (packet === 'too large') {
        this.#sendAway(0, refusal(1153, '08S01', 'Got a packet that is too large'));
        break;
      }
      await this.#take(packet);
      await this.#written();
    }
    this.#busy = false;
    if (this.#leaving) this.#hangUp();
    else this.#socket.resume();
  }

  async #take(packet: Packet): Promise<void> {
    if (this.#stage === 'greeted' || this.#stage === 'encrypted') await this.#logIn(packet);
    else if (this.#stage === 'switched') await this.#decide(packet, packet.payload);
    else await this.#command(packet);
  }

  async #logIn(packet: Packet): Promise<void> {
    const { payload, sequence } = packet;
    // A response of the protocol before 4.1 has its flags in the first two bytes, and may be as short as these.
    const encrypted = this.#stage === 'encrypted';
    if (!this.#connection.greeted || sequence !== (encrypted ? 2 : 1) || payload.length < 4)
      return this.#sendAway(sequence, BAD_HANDSHAKE);
    const flags = payload.readUInt32LE(0);
    if (flags & SSL && payload.length === SSL_REQUEST && !encrypted) return this.#encrypt(sequence);
    if (!(flags & PROTOCOL_41) || !(flags & MULTI_RESULTS)) {
      const why = refusal(1002, 'HY000', 'The client must speak protocol 4.1 and take multiple results');
      return this.#sendAway(sequence, why, Boolean(flags & PROTOCOL_41));
    }
    const login = await this.#connection.login(packet);
    if (!login) return this.#sendAway(sequence, BAD_HANDSHAKE);
    this.#user = login.user;
    if (login.plugin === undefined || login.plugin === NATIVE_PASSWORD) return this.#decide(packet, login.token);
    this.#stage = 'switched';
    this.#connection.askForNativePassword(packet);
  }

  /** What has come with the request is the beginning of the handshake: nothing that was sent in clear is taken for encrypted. */
  #encrypt(sequence: number): void {
    const { encrypt } = this.#parts;
    if (!encrypt) {
      this.#sendAway(sequence, BAD_HANDSHAKE);
      return;
    }
    const plain = this.#socket;
    plain.removeAllListeners('data');
    plain.unshift(this.#reader.rest());
    this.#socket = encrypt(plain);
    this.#socket.on('error', () => plain.destroy());
    this.#socket.once('close', () => plain.destroy());
    this.#connection.moveTo(this.#socket);
    this.#stage = 'encrypted';
    this.#listen();
  }

  async #decide(packet: Packet, token: Buffer): Promise<void> {
    if (this.#leaving) return;
    const { knowsPassword, wrongPasswords, admit, log, limits } = this.#parts;
    const { remoteAddress } = this.#socket;
    const right = knowsPassword(this.#user, this.#connection.seed, token);
    const next = wrongPasswords.judge(this.#user, remoteAddress, right);
    if (next === 'crowded') {
      this.#sendAway(packet.sequence, refusal(1040, '08004', 'Too many wrong passwords: try again in some seconds'));
    } else if (next !== 'in') {
      log.debug(`Refused a client of the MySQL protocol at ${remoteAddress}: wrong user or password.`);
      await wrongPasswords.hold(next, this.closed);
      this.#sendAway(packet.sequence, refusal(1044, '42000', `Access denied for user '${this.#user}'`));
    } else if (!admit(this)) {
      this.#sendAway(packet.sequence, refusal(1040, '08004', 'Too many connections'));
    } else {
      this.#stage = 'commands';
      this.#reader.limit = limits.packet;
      this.#answer(packet, OK);
      this.#expire(limits.idleTimeout);
    }
  }

  async #command(packet: Packet): Promise<void> {
    if (packet.sequence !== 0) {
      return this.#sendAway(packet.sequence, refusal(1156, '08S01', 'Got packets out of order'));
    }
    const code = packet.payload[0] ?? -1;
    if (code === COM_QUIT) {
      this.#leaving = true;
      return;
    }
    if (code === COM_RESET_CONNECTION) this.#settings.json = false;
    // A command may take its time; only the client's own time is counted.
    clearTimeout(this.#timer);
    const answer = await this.#answerTo(code, packet.payload);
    if (answer) this.#answer(packet, answer);
    this.#expire(this.#parts.limits.idleTimeout);
  }

  async #answerTo(code: number, payload: Buffer): Promise<Answer | null> {
    if (code === COM_QUERY) return this.#parts.answer(payload.toString('utf8', 1), this.#settings, this.#user);
    if (PLEASANTRIES.includes(code)) return OK;
    if (UNANSWERED.includes(code)) return null;
    if (PREPARED.includes(code)) return refused(refusal(1295, 'HY000', 'Prepared statements are not supported'));
    return refused(refusal(1047, '08S01', 'Unknown command'));
  }

  /** All of an answer goes out at once. */
  #answer(packet: Packet, answer: Answer): void {
    if (!this.#socket.writable) return;
    this.#socket.cork();
    try {
      this.#connection.answer(packet, answer);
    } finally {
      this.#socket.uncork();
    }
  }

  /** A client that does not read gets no more to read; the time it has is the idle time. */
  async #written(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.#socket.destroyed) return;
    const done = new AbortController();
    const drained = once(this.#socket, 'drain', { signal: done.signal }).catch(() => {});
    await Promise.race([drained, this.closed]);
    done.abort();
  }

  /** Says why, without mysql2, which may have given up already. */
  #sendAway(after: number, why: Refusal, protocol41 = true): void {
    this.#leaving = true;
    if (!this.#socket.writable) return;
    const packet = errorPacket(why, protocol41);
    packet.writeHeader((after + 1) % 256);
    this.#socket.write(packet.buffer);
  }

  #hangUp(): void {
    if (this.#socket.destroyed) return;
    this.#expire(FAREWELL_MS);
    // What it still sends is dropped: unread bytes would cut off what it is to read.
    this.#socket.removeAllListeners('data');
    this.#socket.resume();
    this.#socket.end();
  }

  #expire(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#socket.destroyed) this.#timer = setTimeout(() => this.destroy(), ms);
  }

  #broke(error: unknown): void {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.log.error(`A session of the MySQL protocol broke: ${why}`);
    this.destroy();
  }
}
