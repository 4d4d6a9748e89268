import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

/** Who imports whom, read from the syntax: values and types, static and dynamic. */

/** What each file imports: files of the same set by their path, everything else (packages, Node) by its name. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** @param sources text by path, as `client/pool.ts`. */
export function importGraph(sources: ReadonlyMap<string, string>): ImportGraph {
  return new Map([...sources].map(([path, text]) => [path, importsOf(path, text).map(name => resolve(path, name))]));
}

/** All TypeScript files below a folder. */
export function readSources(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'));
  return new Map(files.sort().map(name => [name, readFileSync(join(folder, name), 'utf8')]));
}

function importsOf(path: string, text: string): string[] {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const found = new Set<string>();
  const note = (source: { value?: unknown } | null | undefined) => {
    if (typeof source?.value === 'string') found.add(source.value);
    else if (source) throw new Error(`${path}: an import whose name only running it would tell`);
  };
  new Visitor({
    ImportDeclaration: node => note(node.source),
    ExportNamedDeclaration: node => note(node.source),
    ExportAllDeclaration: node => note(node.source),
    ImportExpression: node => note(node.source as { value?: unknown }),
    TSImportType: node => note(node.source),
    TSExternalModuleReference: node => note(node.expression),
    CallExpression: node => {
      if (node.callee.type === 'Identifier' && node.callee.name === 'require')
        note(node.arguments[0] as { value?: unknown });
    },
  }).visit(program);
  return [...found];
}

/** './route.js' in client/pool.ts -> client/route.ts. */
function resolve(from: string, name: string): string {
  if (!name.startsWith('.')) return name;
  return join(from, '..', name).replace(/\.js$/, '.ts');
}

/** Groups of files that import each other, directly or in a ring; each sorted. None: every import goes one way. */
export function rings(graph: ImportGraph): string[][] {
  const reached = new Map([...graph.keys()].map(path => [path, reachableFrom(path, graph)]));
  const inRing = [...graph.keys()].filter(path => reached.get(path)?.has(path));
  const groups = inRing.map(path =>
    inRing.filter(other => reached.get(path)?.has(other) && reached.get(other)?.has(path)),
  );
  return [...new Set(groups.map(group => group.sort().join('\n')))].map(group => group.split('\n'));
}

/** Everything that loading a file brings with it; the file itself only when it is in a ring. */
export function reachableFrom(path: string, graph: ImportGraph): Set<string> {
  const reached = new Set<string>();
  const waiting = [...(graph.get(path) ?? [])];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    waiting.push(...(graph.get(next) ?? []));
  }
  return reached;
}
