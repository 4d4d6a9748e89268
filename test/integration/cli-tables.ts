import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

/** The output of `mysqlfabric`, taken apart, and what the original's tool printed. */

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The tables of an output, each cell right-aligned in its column, with nothing else in it. @param openEnded the last column is sentences. */
export function tables(out: string, openEnded = false): Table[] {
  const [, rest] = /^Fabric UUID: {2}[0-9a-f-]{36}\nTime-To-Live: \d+\n\n([\s\S]*)\n$/.exec(out) ?? [];
  if (rest === undefined) throw new Error(`no such layout: ${JSON.stringify(out)}`);
  return rest
    .split('\n\n')
    .filter(part => part !== '')
    .map(part => table(part.split('\n'), openEnded));
}

function table([header = '', rule = '', ...rows]: readonly string[], openEnded: boolean): Table {
  expect(rule).toMatch(/^-+( -+)*$/);
  const widths = rule.split(' ').map(({ length }) => length);
  const isOpen = (index: number) => openEnded && index === widths.length - 1;
  const cells = (row: string): string[] => {
    let at = 0;
    const found = widths.map((width, index) => {
      const cell = isOpen(index) ? row.slice(at) : row.slice(at, at + width).trim();
      at += width + 1;
      return cell;
    });
    expect(found.map((cell, index) => (isOpen(index) ? cell : cell.padStart(widths[index] ?? 0))).join(' ')).toBe(row);
    return found;
  };
  const all = [header, ...rows].map(cells);
  const wide = (index: number) => (isOpen(index) ? all.slice(0, 1) : all).map(row => row[index]?.length ?? 0);
  expect(widths).toEqual(widths.map((_, index) => Math.max(...wide(index))));
  const [columns = [], ...body] = all;
  return { columns, rows: body };
}

/** What the original's tool printed for a command. */
export function captured(name: string): Table[] {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/cli', `${name}.txt`), 'utf8');
  return tables(text.replace(/^\$.*\n/, '').replace(/\[exit status.*\n/, ''));
}
