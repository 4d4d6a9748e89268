import type { Cell, ColumnType, DecodedReply, DecodedResultSet } from '../wire/reply.js';
import { rowsOf } from '../wire/reply.js';
import type { CliCommand } from './catalogue.js';

/** What a reply looks like: the original's text, or JSON. */

/** The reply as the original's tool prints it, with the newline at the end. */
export function formatReply(reply: DecodedReply, command: CliCommand): string {
  const head = `Fabric UUID:  ${printable(reply.fabricUuid)}\nTime-To-Live: ${reply.ttl}\n\n`;
  if (reply.error !== '') return `${head}${reply.error.split('\n').map(printable).join('\n')}\n\n`;
  const openEnded = OPEN_ENDED.has(command.name);
  const tables = reply.resultSets.map(set => `${formatTable(set, declaredFor(set, command), openEnded)}\n`);
  return `${head}${tables.join('')}\n`;
}

/** A command may answer with a set more than once, or not at all: it is known by its columns. */
function declaredFor({ columns }: DecodedResultSet, { sets }: CliCommand) {
  return sets?.find(declared => declared.map(({ name }) => name).join() === columns.join()) ?? [];
}

/** For programs: rows by the names of their columns, and null instead of an empty error. */
export function formatJson({ fabricUuid, ttl, error, resultSets }: DecodedReply): string {
  const results = resultSets.map(set => rowsOf(set));
  return `${JSON.stringify({ fabric_uuid: fabricUuid, ttl, error: error === '' ? null : error, results }, null, 2)}\n`;
}

/** The original's tool has no captures of these, and their last column is sentences, which right-aligned would fill a terminal with blanks. */
const OPEN_ENDED: ReadonlySet<string> = new Set(['event.log', 'event.under_way', 'group.why', 'manage.help']);

type Declared = readonly { readonly type: ColumnType }[];

/** Columns as wide as their widest cell, right-aligned; one blank between them. @param openEnded the last one begins at its left, without a width. */
function formatTable({ columns, rows }: DecodedResultSet, declared: Declared, openEnded: boolean): string {
  const cells = rows.map(row => row.map((cell, index) => formatCell(cell, declared[index]?.type)));
  const names = columns.map(printable);
  const last = openEnded ? names.length - 1 : names.length;
  const widths = names.map((name, index) =>
    (index < last ? cells : []).reduce((widest, row) => Math.max(widest, row[index]?.length ?? 0), name.length),
  );
  const rule = widths.map(width => '-'.repeat(width));
  return [names, rule, ...cells]
    .map(row => `${row.map((cell, index) => (index < last ? cell.padStart(widths[index] ?? 0) : cell)).join(' ')}\n`)
    .join('');
}

/** The wire's numbers don't say whether they are integers: the command's columns do. */
function formatCell(cell: Cell, type: ColumnType | undefined): string {
  if (cell === null) return 'None';
  if (typeof cell === 'boolean') return cell ? '1' : '0';
  if (typeof cell === 'number') return type === 'double' ? formatDouble(cell) : String(cell);
  return printable(cell);
}

const DIGITS = 12;

/** Twelve digits and always a point, as the original's language writes them: 1.0, 1795290537.3, 1e-09. */
export function formatDouble(value: number): string {
  const [mantissa = '', exponent = ''] = value.toExponential(DIGITS - 1).split('e');
  const power = Number(exponent);
  if (power < -4 || power >= DIGITS) {
    return `${Number(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  const text = String(Number(value.toPrecision(DIGITS)));
  return text.includes('.') ? text : `${text}.0`;
}

/** What somebody else wrote must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u001f\u007f-\u009f]/g,
    character => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
