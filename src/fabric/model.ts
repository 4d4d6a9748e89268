import {
  MODE_NAMES,
  MODE_OFFLINE,
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  type Mode,
  STATUS_FAULTY,
  STATUS_NAMES,
  STATUS_PRIMARY,
  STATUS_SECONDARY,
  STATUS_SPARE,
  type Status,
} from '../wire/topology.js';

/** The rules of a group: which status and mode moves are legal, what names and weights are valid, and the sentences that say no. Pure. */

/** A value, or the sentence that says why there is none. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** Who may make a status move: an operator's `server.set_status`, or one of the procedures. */
type Mover = 'server.set_status' | 'group.promote' | 'group.demote' | 'threat';

export interface StatusMove {
  readonly from: Status;
  readonly to: Status;
  readonly by: Mover;
  /** The mode that goes with it; null: the mode stays. */
  readonly mode: Mode | null;
  readonly reason: string;
}

/** Every legal status move. What is not here is refused. */
export const STATUS_MOVES: readonly StatusMove[] = [
  {
    from: STATUS_SECONDARY,
    to: STATUS_SPARE,
    by: 'server.set_status',
    mode: MODE_OFFLINE,
    reason: 'taken out of the reads for maintenance; it keeps replicating',
  },
  {
    from: STATUS_SPARE,
    to: STATUS_SECONDARY,
    by: 'server.set_status',
    mode: MODE_READONLY,
    reason: 'put back into the reads',
  },
  {
    from: STATUS_FAULTY,
    to: STATUS_SPARE,
    by: 'server.set_status',
    mode: MODE_OFFLINE,
    reason: 'repaired: the only way out of FAULTY, after the server was checked and made to follow the primary',
  },
  {
    from: STATUS_SECONDARY,
    to: STATUS_PRIMARY,
    by: 'group.promote',
    mode: MODE_READWRITE,
    reason: 'chosen or named as the one that takes the writes',
  },
  {
    from: STATUS_SPARE,
    to: STATUS_PRIMARY,
    by: 'group.promote',
    mode: MODE_READWRITE,
    reason: 'named by an operator; never chosen by itself',
  },
  {
    from: STATUS_PRIMARY,
    to: STATUS_SECONDARY,
    by: 'group.promote',
    mode: MODE_READONLY,
    reason: 'switchover: another server takes the writes',
  },
  {
    from: STATUS_PRIMARY,
    to: STATUS_SECONDARY,
    by: 'group.demote',
    mode: MODE_READONLY,
    reason: 'the group is to have no primary',
  },
  {
    from: STATUS_FAULTY,
    to: STATUS_PRIMARY,
    by: 'threat',
    mode: MODE_READWRITE,
    reason:
      'a failover found nobody else, and the lost primary, fenced meanwhile, answers again: never a group with none',
  },
  { from: STATUS_PRIMARY, to: STATUS_FAULTY, by: 'threat', mode: null, reason: 'reported or found dead' },
  { from: STATUS_SECONDARY, to: STATUS_FAULTY, by: 'threat', mode: null, reason: 'reported or found dead' },
  { from: STATUS_SPARE, to: STATUS_FAULTY, by: 'threat', mode: null, reason: 'reported or found dead' },
];

/** The move that `server.set_status` makes, or why it refuses; the order of the questions is the original's. */
export function statusMove(server: { uuid: string; status: Status }, to: Status): Parsed<StatusMove> {
  const { uuid, status: from } = server;
  const move = STATUS_MOVES.find(row => row.by === 'server.set_status' && row.from === from && row.to === to);
  if (move) return { value: move };
  if (to === STATUS_PRIMARY) return { problem: phrases.usePromote(uuid) };
  if (to === STATUS_FAULTY) return { problem: phrases.useThreat(uuid) };
  return { problem: phrases.noSuchMove(uuid, from, to) };
}

/** The modes a server may be set to in each status. */
export const MODES_BY_STATUS: Readonly<Record<Status, { readonly modes: readonly Mode[]; readonly reason: string }>> = {
  [STATUS_PRIMARY]: {
    modes: [MODE_WRITEONLY, MODE_READWRITE],
    reason: 'the primary always takes the writes; whether it serves reads too is a choice',
  },
  [STATUS_SECONDARY]: { modes: [MODE_OFFLINE, MODE_READONLY], reason: 'only the primary takes writes' },
  [STATUS_SPARE]: { modes: [MODE_OFFLINE, MODE_READONLY], reason: 'only the primary takes writes' },
  [STATUS_FAULTY]: { modes: [], reason: 'a faulty server is used for nothing until it was repaired' },
};

/** The mode if the server's status allows it. */
export function modeMove(server: { uuid: string; status: Status }, to: Mode): Parsed<Mode> {
  if (MODES_BY_STATUS[server.status].modes.includes(to)) return { value: to };
  return { problem: phrases.modeNotAllowed(server.uuid, server.status, to) };
}

/** A status as commands take it: its name in any case, or its index as number or text. */
export function parseStatus(given: unknown): Parsed<Status> {
  return parseName<Status>(given, STATUS_NAMES, phrases.invalidStatus);
}

/** A mode as commands take it: its name in any case, or its index as number or text. */
export function parseMode(given: unknown): Parsed<Mode> {
  return parseName<Mode>(given, MODE_NAMES, phrases.invalidMode);
}

function parseName<T extends number>(
  given: unknown,
  names: readonly string[],
  invalid: (given: string) => string,
): Parsed<T> {
  const text = String(given).trim();
  const index = /^\d+$/.test(text) ? Number(text) : names.indexOf(text.toUpperCase());
  return index in names ? { value: index as T } : { problem: invalid(String(given)) };
}

/** Greater than 0, at most 1. The original knew no upper limit; balancers that draw by weight need one. */
export function parseWeight(given: unknown): Parsed<number> {
  const text = String(given).trim();
  const weight = typeof given === 'boolean' || text === '' ? Number.NaN : Number(text);
  if (Number.isNaN(weight)) return { problem: `Value (${given}) must be a float.` };
  const refused = `Cannot set the server's weight (${pythonFloat(weight)}) to a value`;
  if (weight <= 0) return { problem: `${refused} lower than or equal to 0.0` };
  if (weight > 1) return { problem: `${refused} greater than 1.0` };
  return { value: weight };
}

function pythonFloat(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

const GROUP_ID = /^[A-Za-z0-9_.-]{1,64}$/;

/** Stricter than the original, which took any text, so that a name is safe in patterns, files and addresses. */
export function parseGroupId(text: string): Parsed<string> {
  if (GROUP_ID.test(text)) return { value: text };
  return { problem: `Group identifier (${text}) must be 1 to 64 letters, digits, '_', '.' or '-'.` };
}

const DEFAULT_MYSQL_PORT = 3306;

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([\w.-]{1,255}))(?::(\d{1,5}))?$/;

/** `host`, `host:port`, `[IPv6]` or `[IPv6]:port`. Port 0 only where `portZero` says so (an endpoint that takes any free port). */
export function parseAddress(
  text: string,
  defaultPort = DEFAULT_MYSQL_PORT,
  portZero = false,
): Parsed<{ readonly host: string; readonly port: number }> {
  const [, ipv6, name, digits] = ADDRESS.exec(text.trim()) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined) return { problem: `Address (${text}) must be host:port (IPv6 in brackets).` };
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port > 65_535 || (port === 0 && !portZero)) return { problem: `Address (${text}) has an invalid port.` };
  return { value: { host, port } };
}

export function formatAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A server as commands take it: text that reads as a uuid is one (in lower case then), everything else must be an address. */
export function parseServerId(text: string): Parsed<string | { readonly host: string; readonly port: number }> {
  const uuid = text.trim().toLowerCase();
  return UUID.test(uuid) ? { value: uuid } : parseAddress(text);
}

const pythonList = (names: readonly string[]) => names.map((name, index) => `(${index}, '${name}')`).join(', ');

/** The sentences of the original, which operators and their scripts know. */
export const phrases = {
  groupMissing: (group: string) => `Group (${group}) does not exist.`,
  groupExists: (group: string) => `Group (${group}) already exists.`,
  groupHasServers: (group: string) => `Cannot destroy a group (${group}) which has associated servers.`,
  serverMissing: (server: string) => `Server (${server}) does not exist.`,
  serverExists: (server: string) => `Server (${server}) already exists.`,
  serverNotInGroup: (server: string, group: string) => `Group (${group}) does not contain server (${server}).`,
  serverUnreachable: (address: string, cause: string) => `Error accessing server (${address}). ${cause}`,
  removePrimary: (uuid: string, group: string) =>
    `Cannot remove server (${uuid}), which is master in group (${group}). Please, demote it first.`,
  noPrimary: (group: string) => `Group (${group}) does not have a master.`,
  alreadyPrimary: (uuid: string) => `Candidate slave (${uuid}) is already master.`,
  noCandidate: (group: string) =>
    `There is no valid candidate that can be automatically chosen in group (${group}). Please, choose one manually.`,
  /** The original names a `--slave-uuid` and an `--update-only`, which its tool did not have. */
  updateOnlyNeedsCandidate: () => 'The new master must be specified through --slave_id if --update_only is set.',
  usePromote: (uuid: string) =>
    `If you want to make a server (${uuid}) primary, please, use the group.promote function.`,
  /** The original names a `threat.report_faulty` here, which never existed. */
  useThreat: (uuid: string) =>
    `If you want to set a server (${uuid}) to faulty, please, use the threat.report_failure interface.`,
  noSuchMove: (uuid: string, from: Status, to: Status) =>
    `Cannot change server's (${uuid}) status from (${STATUS_NAMES[from]}) to (${STATUS_NAMES[to]}).`,
  modeNotAllowed: (uuid: string, status: Status, mode: Mode) =>
    `Cannot set mode to (${MODE_NAMES[mode]}) when the server's (${uuid}) status is (${STATUS_NAMES[status]}).`,
  invalidStatus: (given: string) =>
    `Trying to use an invalid status (${given}). Possible values are ${pythonList(STATUS_NAMES)}.`,
  invalidMode: (given: string) =>
    `Trying to use an invalid mode (${given}). Possible values are: ${pythonList(MODE_NAMES)}.`,
} as const;
