import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, parseSync, Visitor } from 'oxc-parser';
import { describe, expect, it } from 'vitest';

/** docs/compatibility.md names tests; what it names is there. */

const ROOT = join(import.meta.dirname, '../..');
const manual = readFileSync(join(ROOT, 'docs/compatibility.md'), 'utf8');

/** The rows of all tables: a behaviour, and its tests or why there are none. */
const rows = manual
  .split('\n')
  .filter(line => line.startsWith('| ') && !/^\| (-+|Behaviour) \|/.test(line))
  .map(line => {
    const [, behaviour = '', proof = ''] = line.split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll('\\|', '|'));
    return { behaviour, proof };
  });

/** A title of `describe`, `it` or `test`, of any flavour (`.each(...)('title')` too). */
function isTitled(callee: Node): boolean {
  if (callee.type === 'Identifier') return ['describe', 'it', 'test'].includes(callee.name);
  if (callee.type === 'MemberExpression') return isTitled(callee.object);
  return callee.type === 'CallExpression' && isTitled(callee.callee);
}

const known = new Map<string, ReadonlySet<string>>();

function titlesOf(file: string): ReadonlySet<string> {
  const found = known.get(file);
  if (found) return found;
  const path = join(ROOT, 'test', file);
  const titles = new Set<string>();
  const visitor = new Visitor({
    CallExpression({ callee, arguments: [title] }) {
      if (title?.type === 'Literal' && typeof title.value === 'string' && isTitled(callee)) titles.add(title.value);
    },
  });
  visitor.visit(parseSync(path, readFileSync(path, 'utf8')).program);
  known.set(file, titles);
  return titles;
}

/** `file` *title*, one to a line of the cell. */
const named = (proof: string) =>
  proof.split('<br>').map(part => {
    const [, file = '', title = ''] = /^`([^`]+)` \*(.+)\*$/.exec(part.trim()) ?? [];
    return { part, file, title };
  });

describe('docs/compatibility.md', () => {
  it('has a test or a reason for every behaviour', () => {
    expect(rows.length).toBeGreaterThan(50);
    for (const { behaviour, proof } of rows) {
      expect(behaviour).toMatch(/\w/);
      expect(proof, behaviour).toMatch(/^(`|Left out: \w)/);
    }
  });

  it.each(rows.filter(({ proof }) => proof.startsWith('`')))('names tests that there are: $behaviour', ({ proof }) => {
    for (const { part, file, title } of named(proof)) {
      expect(title, part).not.toBe('');
      expect(existsSync(join(ROOT, 'test', file)), file).toBe(true);
      expect([...titlesOf(file)], file).toContain(title);
    }
  });
});
