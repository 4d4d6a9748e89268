/** Fabric's reply envelope <-> rows: format version 1, which every command has answered with since Fabric 1.5. */
import type { Mode, Server, Status } from './topology.js';
import { legalText } from './xml-text.js';
import { Double, type XmlRpcValue } from './xmlrpc.js';

const FORMAT_VERSION = 1;
/** `CONFIGURING` of the 1.6 branch: such a server is not part of its group yet. */
const STATUS_CONFIGURING = 4;

/** The wire has no column types, only those of the values: connectors cast, so each column keeps to one. */
export type ColumnType = 'string' | 'int' | 'double' | 'bool';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

export type Cell = string | number | boolean | null;

export interface ResultSet {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** What a node answers. */
export interface Reply {
  readonly fabricUuid: string;
  /** Seconds for which the reply may be cached. */
  readonly ttl: number;
  /** Empty when the command succeeded. */
  readonly error: string;
  readonly resultSets: readonly ResultSet[];
}

export interface DecodedResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** What a client receives: as `Reply`, without the types of the columns. */
export interface DecodedReply {
  readonly fabricUuid: string;
  readonly ttl: number;
  readonly error: string;
  readonly resultSets: readonly DecodedResultSet[];
}

/** A reply, or a part of it, that is not what its place in the envelope demands. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
  readonly code = 'FABRIC_BAD_MESSAGE';
}

/**
 * The envelope of a reply. Null in a string column becomes the text `None`, as connectors expect it; characters that XML
 * cannot carry become U+FFFD, so that one odd value does not make a whole lookup fail. Throws ReplyError for a row of the
 * wrong length or a cell that is not of its column's type.
 */
export function encodeEnvelope(reply: Reply): XmlRpcValue {
  if (!isInteger(reply.ttl, 0)) throw new ReplyError(`ttl must be an integer from 0: ${reply.ttl}`);
  return [FORMAT_VERSION, reply.fabricUuid, reply.ttl, legalText(reply.error), reply.resultSets.map(encodeResultSet)];
}

function encodeResultSet({ columns, rows }: ResultSet): XmlRpcValue {
  return {
    info: { names: columns.map(column => column.name) },
    rows: rows.map(row => {
      if (row.length !== columns.length)
        throw new ReplyError(`A row has ${row.length} cells for ${columns.length} columns`);
      return columns.map((column, i) => encodeCell(column, row[i] ?? null));
    }),
  };
}

function encodeCell({ name, type }: Column, cell: Cell): XmlRpcValue {
  if (type === 'string' && cell === null) return 'None';
  if (type === 'string' && typeof cell === 'string') return legalText(cell);
  if (type === 'bool' && typeof cell === 'boolean') return cell;
  if (type === 'int' && typeof cell === 'number' && (cell | 0) === cell) return cell;
  if (type === 'double' && typeof cell === 'number' && Number.isFinite(cell)) return new Double(cell);
  throw new ReplyError(`Column ${name} takes ${type}, not ${JSON.stringify(cell)}`);
}

/** The reply in an envelope. Throws ReplyError unless it is format version 1 and everything in it has its shape. */
export function decodeEnvelope(value: XmlRpcValue): DecodedReply {
  const [version, fabricUuid, ttl, error, resultSets] = list(value, 'The reply', 5);
  if (version !== FORMAT_VERSION) {
    throw new ReplyError(
      `The reply has format version ${JSON.stringify(version)}; only ${FORMAT_VERSION} is understood`,
    );
  }
  if (typeof fabricUuid !== 'string') throw new ReplyError('The Fabric uuid is no string');
  if (!isInteger(ttl, 0)) throw new ReplyError('The ttl is no integer from 0');
  if (typeof error !== 'string') throw new ReplyError('The error is no string');
  return { fabricUuid, ttl, error, resultSets: list(resultSets, 'The result sets').map(decodeResultSet) };
}

function decodeResultSet(value: XmlRpcValue): DecodedResultSet {
  const names = member(member(value, 'info'), 'names');
  const columns = list(names, 'The column names').map(name => {
    if (typeof name !== 'string') throw new ReplyError('A column name is no string');
    return name;
  });
  const rows = list(member(value, 'rows'), 'The rows');
  return { columns, rows: rows.map(row => list(row, 'A row', columns.length).map(decodeCell)) };
}

function decodeCell(value: XmlRpcValue | undefined): Cell {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return value;
  throw new ReplyError('A cell is no plain value');
}

/** Each row as an object by column name, without a prototype; of columns with the same name the last one counts. */
export function rowsOf({ columns, rows }: DecodedResultSet): Record<string, Cell>[] {
  return rows.map(row => {
    const named: Record<string, Cell> = Object.create(null);
    for (const [i, name] of columns.entries()) named[name] = row[i] ?? null;
    return named;
  });
}

/**
 * The servers in the reply to `dump.servers`, found by the columns' names, in the reply's order. Servers that are still
 * being configured are left out. Throws ReplyError for a reply that reports an error, lacks the result set, or has a row
 * that describes no server.
 */
export function decodeServers({ error, resultSets }: DecodedReply): Server[] {
  if (error !== '') throw new ReplyError(`The reply is an error: ${error}`);
  const [servers] = resultSets;
  if (!servers) throw new ReplyError('The reply has no result set');
  return rowsOf(servers)
    .filter(row => row.status !== STATUS_CONFIGURING)
    .map(decodeServer);
}

function decodeServer(row: Record<string, Cell>): Server {
  return {
    uuid: textCell(row, 'server_uuid'),
    group: textCell(row, 'group_id'),
    host: textCell(row, 'host'),
    port: integerCell(row, 'port', 1, 65_535),
    mode: integerCell(row, 'mode', 0, 3) as Mode,
    status: integerCell(row, 'status', 0, 3) as Status,
    weight: weightCell(row),
  };
}

function textCell(row: Record<string, Cell>, column: string): string {
  const cell = row[column];
  if (typeof cell !== 'string' || cell === '') throw badCell(row, column, 'a text');
  return cell;
}

function integerCell(row: Record<string, Cell>, column: string, from: number, to: number): number {
  const cell = row[column];
  if (!isInteger(cell, from) || cell > to) throw badCell(row, column, `an integer from ${from} to ${to}`);
  return cell;
}

function weightCell(row: Record<string, Cell>): number {
  const cell = row.weight;
  if (typeof cell !== 'number' || !Number.isFinite(cell) || cell <= 0) throw badCell(row, 'weight', 'a number above 0');
  return cell;
}

function badCell(row: Record<string, Cell>, column: string, wanted: string): ReplyError {
  const found = JSON.stringify(row[column]) ?? 'missing';
  return new ReplyError(`Server ${row.server_uuid}: ${column} must be ${wanted}, but is ${found}`);
}

function isInteger(value: unknown, from: number): value is number {
  return Number.isInteger(value) && (value as number) >= from;
}

function list(value: XmlRpcValue | undefined, what: string, length?: number): readonly XmlRpcValue[] {
  if (!Array.isArray(value)) throw new ReplyError(`${what} is no array`);
  if (length !== undefined && value.length !== length) {
    throw new ReplyError(`${what} has ${value.length} elements instead of ${length}`);
  }
  return value;
}

function member(value: XmlRpcValue | undefined, name: string): XmlRpcValue | undefined {
  const found = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  if (!found) throw new ReplyError(`A result set has no ${name}`);
  return (value as Record<string, XmlRpcValue>)[name];
}
