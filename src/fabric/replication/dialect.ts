import { mysql56, mysql57, mysql804 } from './mysql56.js';
import { mysql80, mysql8022, mysql8023 } from './mysql80.js';

/**
 * The statements of replication as one family of versions spells them. All that differs between versions is in here; a new version is one
 * object and its line in `DIALECTS`.
 */
export interface Dialect {
  readonly name: string;
  /** Whether `super_read_only` exists; without it accounts with SUPER write through `read_only`. */
  readonly superReadOnly: boolean;
  /** The variable that says after how many silent seconds a replica gives its source's connection up. */
  readonly netTimeout: string;
  /** At most one row: that of the default channel. */
  readonly status: string;
  readonly start: string;
  readonly startReceiving: string;
  readonly startApplying: string;
  readonly stop: string;
  readonly stopReceiving: string;
  readonly forgetSource: string;
  /**
   * Placeholders: host, port, user, password. A heartbeat every second proves an idle source alive, a lost one is tried again every second
   * for a day: the default of newer versions gives up after ten attempts.
   */
  readonly changeSource: string;
}

/** The newest that is not newer than the server counts. */
const DIALECTS: readonly (readonly [since: string, dialect: Dialect])[] = [
  ['8.0.26', mysql80],
  ['8.0.23', mysql8023],
  ['8.0.22', mysql8022],
  ['8.0.4', mysql804],
  ['5.7.9', mysql57],
];

/**
 * The dialect of a server whose `VERSION()` is `version`. Never fails: what no dialect fits (MariaDB, 5.5) gets the oldest one, and
 * `requirementIssues` tells that the server cannot be managed.
 */
export function pickDialect(version: string): Dialect {
  return DIALECTS.find(([since]) => isAtLeast(version, since))?.[1] ?? mysql56;
}

/** Compares the leading numbers of `VERSION()`; what has none is older than everything. */
export function isAtLeast(version: string, since: string): boolean {
  const have = numbers(version);
  for (const [index, wanted] of numbers(since).entries()) {
    const part = have[index] ?? -1;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

function numbers(version: string): number[] {
  return (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '').split('.').filter(Boolean).map(Number);
}
