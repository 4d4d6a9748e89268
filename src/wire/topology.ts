/** The words both halves agree on: statuses, modes, servers and groups, with the codes that `dump.servers` sends. */

export const STATUS_FAULTY = 0;
export const STATUS_SPARE = 1;
export const STATUS_SECONDARY = 2;
export const STATUS_PRIMARY = 3;

/** What the group thinks of a server: 0 FAULTY, 1 SPARE, 2 SECONDARY, 3 PRIMARY. */
export type Status = 0 | 1 | 2 | 3;

/** Names by code; the order is the wire's. */
export const STATUS_NAMES = ['FAULTY', 'SPARE', 'SECONDARY', 'PRIMARY'] as const;

export const MODE_OFFLINE = 0;
export const MODE_READONLY = 1;
export const MODE_WRITEONLY = 2;
export const MODE_READWRITE = 3;

/** What a server may be used for, and what a client asks for: 0 OFFLINE, 1 READ_ONLY, 2 WRITE_ONLY, 3 READ_WRITE. */
export type Mode = 0 | 1 | 2 | 3;

/** Names by code, as `group.lookup_servers` shows them; the order is the wire's. */
export const MODE_NAMES = ['OFFLINE', 'READ_ONLY', 'WRITE_ONLY', 'READ_WRITE'] as const;

/** The constant every Fabric installation sends as its uuid. */
export const FABRIC_UUID = '5ca1ab1e-a007-feed-f00d-cab3fe13249e';

/** One MySQL server of a group, as connectors see it. */
export interface Server {
  readonly uuid: string;
  readonly group: string;
  readonly host: string;
  readonly port: number;
  readonly mode: Mode;
  readonly status: Status;
  /** Share of the reads relative to the other servers: greater than 0, at most 1 from our own node. */
  readonly weight: number;
}

/** The servers of one group at one moment. Never edited: a change is a new value. */
export interface Topology {
  readonly group: string;
  readonly servers: readonly Server[];
  readonly fabricUuid: string;
  /** Seconds that the Fabric node says this stays good. */
  readonly ttl: number;
}
