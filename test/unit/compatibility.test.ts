import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { titlesOf } from './test-titles.js';

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
