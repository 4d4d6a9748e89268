/** What a test asks of a server over MySQL's own protocol, whoever runs it. */
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Account } from './accounts.js';
import { resetServer } from './reset-server.js';

/** A MySQL server at an address, with an account that administers it. */
export abstract class ReachableServer {
  readonly host: string;
  readonly port: number;
  readonly #account: Account;

  constructor(address: { host: string; port: number }, account: Account) {
    this.host = address.host;
    this.port = address.port;
    this.#account = account;
  }

  /** `host:port`, as Fabric names a server. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** A connection, with the administrative account unless the options say otherwise. The caller ends it. */
  async connect(options: ConnectionOptions = {}): Promise<Connection> {
    return await createConnection({ host: this.host, port: this.port, ...this.#account, ...options });
  }

  /** The rows, or the result, of one statement, run with the administrative account on a connection of its own. */
  async query<T = RowDataPacket[]>(sql: string, values: unknown[] = []): Promise<T> {
    return await this.#withConnection(async connection => {
      const [result] = await connection.query(sql, values);
      return result as T;
    });
  }

  /** Back to a new server's state: no replication, writable, an empty application database, no binary logs, no GTIDs. */
  async reset(): Promise<void> {
    await this.#withConnection(resetServer);
  }

  async #withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.connect();
    try {
      return await work(connection);
    } finally {
      connection.destroy();
    }
  }
}
