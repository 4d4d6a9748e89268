import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the manual tells its readers to type. */

/** The blocks of code in a language below a heading of that file, up to the next heading of the same rank. */
export function manualBlocks(file: string, heading: string, language: string): string[] {
  const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8');
  const [, below = ''] = text.split(`\n${heading}\n`);
  const [section = ''] = below.split(`\n${/^#+/.exec(heading)?.[0]} `);
  return [...section.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, block]) => block ?? '',
  );
}

/** The statements of a block of SQL. */
export function statements(block: string): string[] {
  return block
    .split(';\n')
    .map(statement => statement.trim())
    .filter(statement => statement !== '');
}

/** The account of the node as docs/operating.md makes it on that version of MySQL. */
export function accountBlock(version: string): string {
  const [newer = '', older = ''] = manualBlocks('docs/operating.md', '## Accounts', 'sql');
  return /^5\./.test(version) ? older : newer;
}
