/** Administrative sessions over mysql2. Here every statement gets its bound and every error loses what must not be shown. */

import { connect as connectSocket, type Socket } from 'node:net';
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2';
import type { Log } from '../log.js';
import { pickDialect } from './dialect.js';
import { MysqlServer } from './managed-server.js';
import { type Address, AdminError, type Replication } from './replication.js';
import { LOCK_WAIT_SECONDS, nameOf, type Row, type RunOptions, type Session, text } from './session.js';

export interface ReplicationOptions {
  /** The `[servers]` account: the node's on every managed server, and that of the replicas on their source. */
  readonly user: string;
  readonly password: string;
  readonly log?: Log;
  readonly connectOptions?: Pick<ConnectionOptions, 'ssl' | 'compress' | 'authPlugins'>;
}

/** Opens administrative sessions to real MySQL servers with one account. */
export function createReplication(options: ReplicationOptions): Replication {
  return {
    async connect(address, timeout) {
      const session = new MysqlSession(address, timeout, options);
      try {
        return new MysqlServer(session, pickDialect(await session.open()));
      } catch (error) {
        session.close();
        throw error;
      }
    },
  };
}

/**
 * `lock_wait_timeout` keeps our statements from hanging behind a client's; an idle session must outlive the server's `wait_timeout`, and the
 * other two settings undo a server's defaults under which escaped values or plain statements would mean something else.
 */
const SETTINGS = `SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}, wait_timeout = 2147483, sql_mode = '', autocommit = 1`;

/** The part of mysql2's and Node's errors that is passed on; never the statement. */
interface DriverError {
  readonly message: string;
  readonly code?: string;
  readonly errno?: number | undefined;
}

type Done = (error: DriverError | null, rows?: Row[]) => void;

const SESSION_OVER: DriverError = { message: 'the session has ended', code: 'PROTOCOL_CONNECTION_LOST' };

class MysqlSession implements Session {
  version = '';
  readonly address: Address;
  readonly timeout: number;
  readonly account: { readonly user: string; readonly password: string };
  readonly log: Log | undefined;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #lostListeners: (() => void)[] = [];
  #state: 'open' | 'lost' | 'closed' = 'open';
  #expired = false;

  constructor(address: Address, timeout: number, { user, password, log, connectOptions }: ReplicationOptions) {
    this.address = address;
    this.timeout = timeout;
    this.account = { user, password };
    this.log = log;
    // Ours, because mysql2 only half-closes its own: with a frozen server that never ends.
    this.#socket = connectSocket({ host: address.host, port: address.port, noDelay: true });
    this.#socket.once('close', () => this.#lose());
    const stream = () => this.#socket;
    const { host, port } = address;
    // Host and port still name the server whose TLS certificate is checked.
    this.#connection = createConnection({
      ...connectOptions,
      host,
      port,
      user,
      password,
      connectTimeout: timeout,
      stream,
    });
    this.#connection.on('error', () => this.#lose());
    this.#connection.on('end', () => this.#lose());
  }

  /** The timeout is for the handshake and the settings together. @returns the server's version */
  async open(): Promise<string> {
    const timer = setTimeout(() => this.#expire(), this.timeout);
    try {
      await this.#bounded(this.timeout, false, done => this.#connection.connect(error => done(error)));
      await this.run(SETTINGS);
      this.version = text((await this.run('SELECT VERSION() AS version'))[0]?.version);
      return this.version;
    } finally {
      clearTimeout(timer);
    }
  }

  run(sql: string, values: readonly unknown[] = [], { secret = false, extra = 0 }: RunOptions = {}): Promise<Row[]> {
    return this.#bounded(this.timeout + extra, secret, done => {
      this.#connection.query<RowDataPacket[]>(sql, [...values], (error, rows) => done(error, rows));
    });
  }

  onLost(listener: () => void): void {
    if (this.#state === 'lost') queueMicrotask(listener);
    else this.#lostListeners.push(listener);
  }

  close(): void {
    if (this.#state === 'open') this.#state = 'closed';
    this.#socket.destroy();
  }

  #bounded(ms: number, secret: boolean, start: (done: Done) => void): Promise<Row[]> {
    if (this.#state !== 'open') return Promise.reject(this.#error(SESSION_OVER));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#expire();
        reject(this.#error(SESSION_OVER));
      }, ms);
      start((error, rows = []) => {
        clearTimeout(timer);
        if (error) reject(this.#error(error, secret));
        else resolve(rows);
      });
    });
  }

  /** Whatever the session still waits for will not come: what comes later must not be taken for the answer to something else. */
  #expire(): void {
    if (this.#state === 'open') this.#expired = true;
    this.#socket.destroy();
    this.#lose();
  }

  #lose(): void {
    if (this.#state !== 'open') return;
    this.#state = 'lost';
    this.#socket.destroy();
    for (const listener of this.#lostListeners.splice(0)) listener();
  }

  #error(error: DriverError, secret = false): AdminError {
    const where = nameOf(this.address);
    const answered = isAnswered(error);
    if (this.#expired && !answered) {
      return new AdminError(`${where} did not answer within ${this.timeout} ms`, this.address, 'ETIMEDOUT', true);
    }
    const code = error.code ?? String(error.errno ?? SESSION_OVER.code);
    // A syntax error, for one, quotes the statement.
    const said = secret && answered ? 'refused a statement that is not shown' : error.message;
    return new AdminError(`${where}: ${said} (${code})`, this.address, code, !answered);
  }
}

/** Did the server itself say no? Its error numbers are positive, the system's negative; a failed handshake was held with someone who lives. */
function isAnswered({ errno, code = '' }: DriverError): boolean {
  return (errno ?? 0) > 0 || code.startsWith('HANDSHAKE_') || code.startsWith('AUTH_');
}
