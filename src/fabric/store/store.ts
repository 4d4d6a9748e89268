import type { Mode, Status } from '../../wire/topology.js';

/**
 * The state store: all that the node must not forget. A group with its servers is one value with a version;
 * a write names the version it was based on, so that two writers (later: two nodes) cannot overwrite each other unseen.
 */

export interface ServerRecord {
  readonly uuid: string;
  readonly host: string;
  readonly port: number;
  readonly status: Status;
  readonly mode: Mode;
  readonly weight: number;
  /** true: it may accept writes although it must not (a lost primary); it is fenced as soon as it can be reached. */
  readonly needsFencing: boolean;
  /**
   * true: `update_only` has given it its place in the store alone. The node leaves the server as it is, and of a primary the whole group, until
   * it is in that place or the next command about it.
   */
  readonly byHand: boolean;
}

export interface GroupRecord {
  readonly id: string;
  readonly description: string | null;
  /** Whether the failure detector watches it. */
  readonly active: boolean;
  /** uuid of the server that takes writes; a FAULTY one until another is promoted. */
  readonly primary: string | null;
  /** Epoch ms of the last change of `primary`; `failover_interval` counts from here. */
  readonly primarySince: number | null;
  /**
   * `gtid_executed` of the primary at its promotion. Whatever a server holds beyond it that the primary did not write itself is errant.
   * null: unknown.
   */
  readonly baseline: string | null;
  readonly version: number;
  /** Ordered by uuid. */
  readonly servers: readonly ServerRecord[];
}

/** A client's word against a server (`threat.report_*`). `at` in epoch ms. */
export interface ErrorReport {
  readonly server: string;
  readonly reporter: string;
  readonly error: string;
  readonly at: number;
}

export interface ReportCount {
  readonly reports: number;
  /** Of so many different reporters. */
  readonly reporters: number;
}

/** One line of a procedure's history, as the wire shows it: state 3 created, 4 processing, 5 complete; success 1 error, 2 success. */
export interface RunEvent {
  readonly state: 3 | 4 | 5;
  readonly success: 1 | 2;
  /** Epoch ms. */
  readonly at: number;
  readonly description: string;
}

/** A procedure's run. `step` is the number of steps that are done; `data` is what the steps know (JSON). */
export interface RunRecord {
  readonly uuid: string;
  readonly procedure: string;
  readonly group: string;
  readonly step: number;
  readonly data: string;
  readonly finished: boolean;
  /** null while it runs or when it succeeded; of one that is not finished: why it is being taken back. */
  readonly error: string | null;
  readonly events: readonly RunEvent[];
}

/** What a decision of the node is about. */
export type DecisionEvent =
  | 'suspected'
  | 'faulty'
  | 'fenced'
  | 'candidate'
  | 'promoted'
  | 'demoted'
  | 'failed'
  | 'waiting'
  | 'repointed'
  | 'reopened'
  | 'membership'
  | 'status'
  | 'mode'
  | 'weight'
  | 'group'
  | 'user';

/** What the node decided, and why: one row of its audit trail. */
export interface Decision {
  /** Epoch ms. */
  readonly at: number;
  /** Empty: it is about users, who belong to none. */
  readonly group: string;
  /** uuid; null: the group as a whole. */
  readonly server: string | null;
  readonly event: DecisionEvent;
  /** Who asked for it: a command and its user, the detector, a reporter, or the node itself. */
  readonly by: string;
  /** With its evidence. */
  readonly sentence: string;
}

export const DECISIONS_KEPT_PER_GROUP = 1_000;
export const DECISIONS_KEPT = 100_000;

/** Events that are counted by group. */
export const COUNTED: ReadonlySet<DecisionEvent> = new Set(['promoted', 'demoted']);

/** How often it happened: a command was called, a group's primary promoted. */
export interface Count {
  readonly kind: 'command' | 'group';
  /** Name of the command or the group. */
  readonly subject: string;
  readonly event: string;
  readonly total: number;
}

/** Who may call the node's commands: for each protocol a user of its own, as each needs another hash of the password. */
export interface UserRecord {
  readonly name: string;
  readonly protocol: 'xmlrpc' | 'mysql';
  /** Hashed as the protocol needs it; null: this user cannot log in. */
  readonly password: string | null;
  /** By name. */
  readonly roles: readonly string[];
}

export interface Store {
  /** Grows with every change that a command could show; answers are kept until it does. */
  readonly revision: number;
  /** Given up, and rejected, as soon as `signal` is aborted; `close` is harmless then. */
  open(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /**
   * For a node, which is the only one on this store until it closes it or ends. Before `open`, so that one that is refused changes nothing.
   * @param signal as for `open`.
   * @param lost is told when another node has taken it; nothing can be read or changed here from then on.
   * @throws Error that names the store, when another node has it.
   */
  claim(lost: (error: Error) => void, signal?: AbortSignal): Promise<void>;

  /** All groups, ordered by id. */
  groups(): Promise<readonly GroupRecord[]>;
  group(id: string): Promise<GroupRecord | undefined>;
  /** The group that has a server with this uuid, or at this address (host names in any case). */
  groupOfServer(server: string | { readonly host: string; readonly port: number }): Promise<GroupRecord | undefined>;
  /** @throws StoreConflict when the id is taken, and as `saveGroup` for the servers. */
  createGroup(group: Omit<GroupRecord, 'version'>): Promise<GroupRecord>;
  /**
   * Replaces the group whole.
   * The reports against servers that it no longer has are forgotten.
   * @throws StoreConflict when `group.version` is not the stored one, or a server's uuid or address is in another group (or twice in this one).
   */
  saveGroup(group: GroupRecord): Promise<GroupRecord>;
  /** @throws StoreConflict as `saveGroup`. */
  deleteGroup(id: string, version: number): Promise<void>;

  /**
   * Kept for an hour at most, and a bounded number of them; a report against a server in no group is not kept.
   * Resolves to how many there are with it against that server since `since` (epoch ms). Reports come in floods: those that are written together
   * are counted once, since the latest `since` of theirs. One may be lost when the machine fails.
   */
  addReport(report: ErrorReport, since: number): Promise<ReportCount>;
  /** How many there are against `server` (uuid) since `since` (epoch ms). */
  countReports(server: string, since: number): Promise<ReportCount>;
  /** They have led to a decision, and count no more. */
  forgetReports(server: string): Promise<void>;

  /** Writes the run whole: when it starts, after each step, and when it ends. */
  saveRun(run: RunRecord): Promise<void>;
  /** Writes a run that was over as it began, together with others that wait. It may be lost when the machine fails. */
  noteRun(run: RunRecord): Promise<void>;
  /** Of finished runs only the latest 1,000 of each procedure are sure to be found. */
  run(uuid: string): Promise<RunRecord | undefined>;
  /** Runs that have not finished, in the order in which they began: what a node finds after a crash. */
  unfinishedRuns(): Promise<readonly RunRecord[]>;

  /** The oldest of a group go when there are more than {@link DECISIONS_KEPT_PER_GROUP}. Promotions and demotions are counted. */
  addDecision(decision: Decision): Promise<void>;
  /** The latest `limit`, oldest first; `group` null: of all groups. Those of a group that is no more are kept. */
  decisions(group: string | null, limit: number): Promise<readonly Decision[]>;
  addCounts(counts: readonly Count[]): Promise<void>;
  /** Ordered by subject and event. Those of a group are forgotten with it. */
  counts(kind: Count['kind']): Promise<readonly Count[]>;

  /** uuid of the MySQL server that keeps the state; stores of another kind have none. */
  home?(): Promise<string>;

  /** Ordered by name and protocol. What this node has changed is in it at once, what others have within a second. */
  readonly users: readonly UserRecord[];
  /** Puts what `change` makes of the newest users in their place; it may be asked again, and refuses by throwing. */
  changeUsers(change: (users: readonly UserRecord[]) => readonly UserRecord[]): Promise<void>;
}

/** A node works on it already, or by now. */
export class StoreInUse extends Error {}

/** It cannot be reached, opened, or brought up to date. */
export class StoreUnusable extends Error {}

/** The answer to COMMIT did not come: the change is stored, or not. */
export class InDoubt extends Error {
  constructor(cause: unknown) {
    super(`The state store did not confirm a change, which may be stored or not: ${String(cause)}`, { cause });
  }
}

/** Somebody else changed the group since it was read. */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict';
}
