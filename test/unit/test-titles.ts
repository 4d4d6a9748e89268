import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, parseSync, Visitor } from 'oxc-parser';

/** The titles that a test file gives, for manuals and tables that name tests. */

const TESTS = join(import.meta.dirname, '..');

/** A title of `describe`, `it` or `test`, of any flavour (`.each(...)('title')` too). */
function isTitled(callee: Node): boolean {
  if (callee.type === 'Identifier') return ['describe', 'it', 'test'].includes(callee.name);
  if (callee.type === 'MemberExpression') return isTitled(callee.object);
  return callee.type === 'CallExpression' && isTitled(callee.callee);
}

const known = new Map<string, ReadonlySet<string>>();

/** @param file below test/ */
export function titlesOf(file: string): ReadonlySet<string> {
  const found = known.get(file);
  if (found) return found;
  const path = join(TESTS, file);
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
