import type { Cell, Column, ColumnType, ResultSet } from '../../wire/reply.js';
import { FABRIC_UUID } from '../../wire/topology.js';
import type { Param } from '../commands/bind.js';
import type { Command, CommandReply } from '../commands/define.js';

/** Result sets in the words of the MySQL protocol. Pure. */

/** A result set as the driver's server half writes it: definitions, and cells as text. */
export interface TextSet {
  readonly columns: readonly MysqlColumn[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface MysqlColumn {
  readonly catalog: string;
  readonly schema: string;
  readonly table: string;
  readonly orgTable: string;
  readonly name: string;
  readonly orgName: string;
  readonly characterSet: number;
  readonly columnLength: number;
  readonly columnType: number;
  readonly flags: number;
  readonly decimals: number;
}

/** utf8_general_ci, of the greeting. */
export const UTF8 = 33;
/** utf8mb4_general_ci, of every column: mysql2 reads the other one as CESU-8. */
const UTF8MB4 = 45;
const NOT_NULL = 1;

/** VAR_STRING, LONGLONG, NEWDECIMAL and TINY. */
const TYPES: Readonly<Record<ColumnType, Pick<MysqlColumn, 'columnType' | 'columnLength' | 'decimals'>>> = {
  string: { columnType: 253, columnLength: 65_535, decimals: 0 },
  int: { columnType: 8, columnLength: 20, decimals: 0 },
  double: { columnType: 246, columnLength: 65, decimals: 30 },
  bool: { columnType: 1, columnLength: 1, decimals: 0 },
};

const column = (name: string, type: ColumnType): Column => ({ name, type });
const texts = (...names: readonly string[]): readonly Column[] => names.map(name => column(name, 'string'));

/** What every CALL answers: how it went, and then what the command has to say. */
export function callSets(command: Command, reply: CommandReply, ttl: number): readonly TextSet[] {
  const table = command.name.replace('.', '_');
  return replySets(reply, ttl).map(set => textSet(table, set));
}

/** The same as one text: an array of result sets, each of which is an array of objects. */
export function jsonSets(command: Command, reply: CommandReply, ttl: number): readonly TextSet[] {
  const sets = replySets(reply, ttl).map(({ columns, rows }) =>
    rows.map(row => Object.fromEntries(columns.map(({ name }, index) => [name, row[index] ?? null]))),
  );
  return [textSet(command.name.replace('.', '_'), { columns: texts('json'), rows: [[JSON.stringify(sets)]] })];
}

function replySets({ error, resultSets }: CommandReply, ttl: number): readonly ResultSet[] {
  const columns = [column('fabric_uuid', 'string'), column('ttl', 'int'), column('message', 'string')];
  return [{ columns, rows: [[FABRIC_UUID, ttl, error === '' ? null : error]] }, ...resultSets];
}

/** The commands as rows of INFORMATION_SCHEMA.ROUTINES. */
export function routinesSet(commands: Iterable<Command>): TextSet {
  const rows = [...commands].map(({ name }) => {
    const [group = '', command = ''] = name.split('.');
    return [command, 'fabric', group, command, 'PROCEDURE'];
  });
  const columns = texts('SPECIFIC_NAME', 'ROUTINE_CATALOG', 'ROUTINE_SCHEMA', 'ROUTINE_NAME', 'ROUTINE_TYPE');
  return textSet('ROUTINES', { columns, rows });
}

/** What a command takes and does, in the form of the original's command line. */
export function helpSet({ name, params, doc }: Command): TextSet {
  const usage = [...name.split('.'), ...params.map(usageOf)].join(' ');
  const meanings = params.map(param => `  ${param.name}: ${param.doc}`);
  const help = [usage, '', doc, ...(meanings.length > 0 ? ['', ...meanings] : [])].join('\n');
  return textSet(name.replace('.', '_'), { columns: texts('fabric_help'), rows: [[help]] });
}

function usageOf({ name, type, default: value }: Param): string {
  if (value === undefined) return name;
  return type === 'bool' ? `[--${name}]` : `[--${name}=${value === null ? 'NONE' : value}]`;
}

function textSet(table: string, { columns, rows }: ResultSet): TextSet {
  return {
    columns: columns.map(({ name, type }) => ({
      catalog: 'fabric',
      schema: 'fabric',
      table,
      orgTable: table,
      name,
      orgName: name,
      characterSet: UTF8MB4,
      flags: NOT_NULL,
      ...TYPES[type],
    })),
    rows: rows.map(row => columns.map(({ type }, index) => cellText(type, row[index] ?? null))),
  };
}

/** A double has at least one decimal, so that nobody takes it for an integer. */
function cellText(type: ColumnType, cell: Cell): string | null {
  if (cell === null) return null;
  if (typeof cell === 'boolean') return cell ? '1' : '0';
  return type === 'double' && Number.isInteger(cell) ? Number(cell).toFixed(1) : String(cell);
}
