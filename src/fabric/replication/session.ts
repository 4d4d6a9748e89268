import type { Log } from '../log.js';
import { type Address, AdminError } from './replication.js';

/** One row of a result, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** How a statement is run, where it is not as usual. */
export interface RunOptions {
  /** It carries a password: nothing that the server says about it may be repeated. */
  readonly secret?: boolean;
  /** ms that the statement may take beyond the session's timeout. */
  readonly extra?: number;
}

/** An open administrative session: SQL, bounded, with errors that may be shown. */
export interface Session {
  readonly address: Address;
  readonly version: string;
  /** Bound of each statement in ms. */
  readonly timeout: number;
  readonly account: { readonly user: string; readonly password: string };
  readonly log: Log | undefined;
  /** @throws AdminError */
  run(sql: string, values?: readonly unknown[], options?: RunOptions): Promise<Row[]>;
  onLost(listener: () => void): void;
  close(): void;
}

/**
 * Seconds a statement of ours waits for a lock, also those that switch read-only on: so long a running statement or `LOCK TABLES` of a
 * client may hold the switch up before it is killed. Meanwhile every new write waits behind us, so this is an outage; 1 is the least MySQL takes.
 */
export const LOCK_WAIT_SECONDS = 1;

/** ms between two looks at a state that is waited for. */
export const POLL_MS = 10;

/** The server whose session it is, as logs and errors name it. */
export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}

/** A wait that passed its bound although the server answers. */
export function lateError(session: Session, message: string): AdminError {
  return new AdminError(message, session.address, 'ETIMEDOUT', false);
}

/** Whether `error` is the server's answer `code`. */
export function isAnswer(error: unknown, code: string): boolean {
  return error instanceof AdminError && error.code === code;
}

/** A column's value as text; NULL and a missing column are empty. */
export function text(value: unknown): string {
  return value === null || value === undefined ? '' : String(value);
}
