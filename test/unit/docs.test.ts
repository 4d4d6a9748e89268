import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'oxc-parser';
import { describe, expect, it } from 'vitest';
import { commandsManual } from '../../scripts/commands-manual.js';
import { parseOptions } from '../../src/client/options.js';
import { OPTION_TABLE } from '../../src/fabric/option-table.js';
import { readSources } from './import-graph.js';

/** What the manual says is what the sources say. */

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** All that is for people to read. */
const MANUALS = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(ROOT, 'docs')).map(name => `docs/${name}`)];

type Row = readonly [option: string, fallback: string, meaning: string];

/** The rows of the first table after a heading; names and values without their backticks. */
function table(text: string, heading: string): Row[] {
  const [, section = ''] = text.split(`\n${heading}\n`);
  const lines = (section.split(/\n#+ /)[0] ?? '').split('\n').filter(line => line.startsWith('| `'));
  return lines.map(line => {
    const [, option = '', fallback = '', meaning = ''] = line.split('|').map(cell => cell.trim());
    return [option.replaceAll('`', ''), fallback.replaceAll('`', ''), meaning];
  });
}

/** The members of an interface of the client's, or the texts of a union. */
function membersOf(type: string): string[] {
  for (const [path, text] of readSources(join(ROOT, 'src/client'))) {
    for (const statement of parseSync(path, text).program.body) {
      const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : null;
      if (declaration?.type === 'TSInterfaceDeclaration' && declaration.id.name === type) {
        return declaration.body.body.flatMap(member =>
          member.type === 'TSPropertySignature'
            ? [text.slice(member.key.start, member.key.end).replaceAll("'", '')]
            : [],
        );
      }
      if (declaration?.type === 'TSTypeAliasDeclaration' && declaration.id.name === type) {
        return [...text.slice(declaration.start, declaration.end).matchAll(/'([^']+)'/g)].map(([, each]) => each ?? '');
      }
    }
  }
  throw new Error(`The client has no type ${type}`);
}

const options = read('docs/options.md');

describe('docs/options.md', () => {
  it('lists every option of the client', () => {
    const wanted = [...membersOf('ClientOptions'), ...membersOf('Properties')];
    expect(
      table(options, '## The client')
        .map(([name]) => name)
        .sort(),
    ).toEqual(wanted.sort());
  });

  it('lists every option of a Fabric node in the client', () => {
    expect(table(options, '### fabric').map(([name]) => name)).toEqual(membersOf('FabricNodeOptions'));
  });

  it("tells the client's defaults", () => {
    const config = { ...parseOptions({ fabric: 'fabric1' }) } as Readonly<Record<string, unknown>>;
    const told = table(options, '## The client').filter(
      ([name, value]) => name in config && /^["\d]|true|false/.test(value),
    );
    expect(told.length).toBeGreaterThan(5);
    expect(Object.fromEntries(told.map(([name, value]) => [name, JSON.parse(value)]))).toEqual(
      Object.fromEntries(told.map(([name]) => [name, config[name]])),
    );
  });

  it.each(Object.entries(OPTION_TABLE))('is what the node takes: %s', (section, rows) => {
    const wanted = Object.entries(rows).map(([name, row]) => [
      name,
      row.default === undefined ? 'must be given' : JSON.stringify(row.default),
      row.doc,
    ]);
    expect(table(options, `### ${section}`)).toEqual(wanted);
  });
});

describe('docs/errors.md', () => {
  it.each([
    ['## Outcomes', 'Outcome'],
    ['## Codes', 'FabricErrorCode'],
  ])('tells in %s every %s, and no other', (heading, type) => {
    const names = table(read('docs/errors.md'), heading).map(([name]) => name);
    expect(names.sort()).toEqual(membersOf(type).sort());
  });
});

describe('docs/observability.md', () => {
  it.each([
    ['## Events', 'FabricEvents'],
    ['## explain', 'Explanation'],
  ])('tells in %s every member of %s', (heading, type) => {
    const text = read('docs/observability.md').split(`\n${heading}\n`)[1]?.split('\n## ')[0];
    for (const name of membersOf(type)) expect(text).toContain(`\`${name}\``);
  });
});

describe('docs/commands.md', () => {
  it('is what `npm run docs` writes', () => {
    expect(read('docs/commands.md')).toBe(commandsManual());
  });
});

describe('README.md', () => {
  it.each([
    ['### Errors', 'Outcome'],
    ['### Errors', 'FabricErrorCode'],
  ])('tells in %s every %s', (heading, type) => {
    const names = table(read('README.md'), heading).map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining(membersOf(type)));
  });

  it('links to files that exist', () => {
    for (const path of MANUALS) {
      const links = [...read(path).matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => link ?? '');
      expect(links.filter(link => !existsSync(join(ROOT, path, '..', link)))).toEqual([]);
    }
  });
});
