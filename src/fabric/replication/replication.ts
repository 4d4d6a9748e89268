/**
 * What commands, procedures and the detector may ask of a real MySQL server. They know this interface only;
 * `admin-connection.ts` implements it over mysql2, with one dialect per MySQL family.
 */

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a replica says of its two threads; source host, port and uuid are those it was told to follow. */
export interface ReplicaStatus {
  readonly source: Address;
  /** Empty until the replica has spoken with its source once. */
  readonly sourceUuid: string;
  /** `connecting` means: the thread runs, but does not hear from its source now. */
  readonly ioThread: 'running' | 'connecting' | 'stopped';
  readonly sqlThread: 'running' | 'stopped';
  /** Empty where there is none. */
  readonly ioError: string;
  readonly sqlError: string;
  readonly ioErrno: number;
  readonly sqlErrno: number;
  /** GTID set received into the relay log since the replica was configured. */
  readonly retrieved: string;
  /** Seconds by which it is told to apply everything late. */
  readonly delay: number;
  /** null: unknown (a thread is stopped). */
  readonly secondsBehind: number | null;
}

export interface ServerIdentity {
  readonly uuid: string;
  /** As `SELECT VERSION()` gives it: `9.7.4-2`, `5.6.24-log`. */
  readonly version: string;
  readonly readOnly: boolean;
  /** null where the server knows no `super_read_only` (5.6). */
  readonly superReadOnly: boolean | null;
}

/** Where there is no `super_read_only`, `read_only` is all that there is. */
export function refusesWrites({ readOnly, superReadOnly }: ServerIdentity): boolean {
  return readOnly && superReadOnly !== false;
}

/** Semi-synchronous replication as the server has it now. */
export interface SemiSync {
  /** Which side is switched on. */
  readonly role: 'primary' | 'secondary' | 'off';
  /** Whether it works: a primary whose secondaries do not acknowledge goes on without them. */
  readonly active: boolean;
}

/** One administrative session on one server. Every call is bounded by the session's timeout and rejects with an `AdminError`. */
export interface ManagedServer {
  readonly address: Address;
  identity(): Promise<ServerIdentity>;
  /** Seconds since it was started, whole ones. */
  uptime(): Promise<number>;
  /** Why this server cannot be managed (binary log off, GTIDs off, version, missing privileges ...); empty: it can. */
  requirementIssues(): Promise<string[]>;
  /** `@@global.gtid_executed` without white space. */
  executed(): Promise<string>;
  /** null: not configured as a replica. */
  replicaStatus(): Promise<ReplicaStatus | null>;

  /**
   * Makes the server refuse writes: `super_read_only` where it exists; else `read_only`, and all clients are killed, because those with SUPER
   * could go on. Open transactions fail when they commit. Statements and table locks that hold this up get 1 s, then all clients are killed.
   * Takes at most that second and a few times the session's timeout.
   */
  fence(): Promise<void>;
  /**
   * Ends every client connection but replication's, the system's and this account's own, and waits, bounded, until they are gone. Resolves to
   * how many. One that the account may not kill (8.0.16+: SYSTEM_USER) stays.
   */
  killClients(): Promise<number>;
  /** Lets the server accept writes. */
  unfence(): Promise<void>;

  /**
   * Follow `source` with auto-positioning and the `[servers]` account, and wait until both threads run. Read-only is switched on first.
   * Nothing is interrupted when it follows `source` already; else what it has received and not applied is thrown away. Rejects with `REPLICA_IO_ERROR` or `REPLICA_SQL_ERROR` and the thread's own words
   * when one reports an error; the replica then goes on trying where MySQL does (unreachable source, refused account).
   */
  follow(source: Address): Promise<void>;
  /** Stops both threads; harmless when there are none. */
  stopReplication(): Promise<void>;
  /**
   * Stops receiving, keeps applying what was received. Where the source is frozen and the receiver tries to reach it, MySQL 8.0 and newer
   * need 2 s for this.
   */
  stopReceiving(): Promise<void>;
  /** Starts receiving again from the source that it has. */
  startReceiving(): Promise<void>;
  /** Starts applying again without receiving: a promotion's candidate drains its relay log. */
  startApplying(): Promise<void>;
  /**
   * Whether the applier has applied all that is there, whatever `retrieved` and `executed` say: 5.6 names a transaction of which only the beginning
   * has come, and of a history that was discarded nothing is executed.
   */
  isIdle(): Promise<boolean>;
  /** Stops both threads and forgets the source. */
  forgetSource(): Promise<void>;
  /** Waits until all of `gtids` is applied; false when `timeout` (ms) passes first or the applier is not running. */
  waitForExecuted(gtids: string, timeout: number): Promise<boolean>;
  /**
   * Semi-synchronous replication, where its plugins are loaded: a primary waits for acknowledgements, a secondary gives them. No plugin: nothing.
   * A receiver that runs is restarted when that changes for it, so the order of this and `follow` does not matter; before `follow` is cheaper.
   * Making a primary a secondary takes up to 1 s: not in the gap in which nobody takes writes.
   */
  setSemiSync(role: 'primary' | 'secondary'): Promise<void>;
  /** null: its plugins are not loaded. */
  semiSync(): Promise<SemiSync | null>;

  /** Round trip that proves the session and the server answer. */
  ping(): Promise<void>;
  /** Calls `listener` once, when the connection is lost (not when `close` ended it). */
  onLost(listener: () => void): void;
  /** Ends the session at once, without waiting; never throws. */
  close(): void;
}

/** Opens administrative sessions. */
export interface Replication {
  /**
   * @param timeout ms for connecting, and after that for every single call (waits have their own).
   * @throws AdminError with `code` of the cause (ECONNREFUSED, ETIMEDOUT, ER_ACCESS_DENIED_ERROR ...).
   */
  connect(address: Address, timeout: number): Promise<ManagedServer>;
}

/** A managed server could not be reached or refused a statement. Never carries a password. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  /**
   * @param code mysql2's or Node's code; `ETIMEDOUT` for a wait that passed its bound; `REPLICA_IO_ERROR`, `REPLICA_SQL_ERROR` and
   *   `REPLICA_NOT_CONFIGURED` from `follow`.
   * @param unreachable true: no answer came (connect failure, connection lost, timeout); false: the server lives, but refused or did not reach
   *   the wanted state in time.
   */
  constructor(
    message: string,
    readonly address: Address,
    readonly code: string,
    readonly unreachable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
