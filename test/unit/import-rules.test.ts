import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ImportGraph, importGraph, reachableFrom, readSources, rings } from './import-graph.js';

/** Who may import whom: the table of docs/architecture.md. */
interface Rule {
  /** The files that the rule is for. */
  readonly from: RegExp;
  /** What each of them may import, beside Node's own modules. */
  readonly may: RegExp;
  /** What of Node it may not. */
  readonly notOfNode?: RegExp;
}

/** No sockets, no processes, no files, no timers. */
const IMPURE = /^node:(?!crypto$|buffer$|util$)/;

const RULES: readonly Rule[] = [
  { from: /^(index|promise)\.ts$/, may: /^(client\/|wire\/topology\.ts$|mysql2(\/promise)?$)/ },
  { from: /^fabric\.ts$/, may: /^fabric\// },
  { from: /^testing\.ts$/, may: /^testing\// },
  { from: /^cli\.ts$/, may: /^cli\/(io|main)\.ts$/ },
  // The commands for their names and help, the calls, the configuration, and a node for `manage start`.
  {
    from: /^cli\//,
    may: /^(cli\/|wire\/(reply|xmlrpc)\.ts$|client\/(fabric-rpc|rpc-endpoint|errors)\.ts$|fabric\/(commands\/(all|bind|define)|node|config-(file|ini|keys)|option(s|-table)|log|store\/create)\.ts$|pino$)/,
  },
  { from: /^wire\//, may: /^(wire\/|xmlrpc\/lib\/(customtype|deserializer|serializer)\.js$)/, notOfNode: IMPURE },
  { from: /^client\//, may: /^(client\/|wire\/|mysql2(\/promise)?$|lru-cache$|generic-pool$|@opentelemetry\/api$)/ },
  { from: /^client\/(?!telemetry\.ts$)/, may: /^(?!@opentelemetry)/ },
  { from: /^fabric\//, may: /^(fabric\/|wire\/|mysql2(\/promise)?$|lru-cache$|libsql$)/ },
  // The rules of the node are pure, and know what both halves agree on.
  { from: /^fabric\/(model|suspicion|replication\/gtid)\.ts$/, may: /^wire\/topology\.ts$/, notOfNode: IMPURE },
  // Commands and procedures know what a store and a server can do, never which store or which MySQL it is.
  {
    from: /^fabric\/(commands|procedures)\//,
    may: /^(wire\/|fabric\/(?!store\/|replication\/|node\.ts$|endpoints\/)|fabric\/store\/store\.ts$|fabric\/replication\/(replication|gtid)\.ts$)/,
  },
  // Procedures are what commands are made of.
  { from: /^fabric\/procedures\//, may: /^(?!fabric\/commands\/)/ },
  // MySQL's protocol is spoken by replication, the state store that needs it and the endpoint for it, and by nothing else of the node.
  { from: /^fabric\/(?!replication\/|endpoints\/|store\/mysql\.ts$)/, may: /^(?!mysql2)/ },
  { from: /^fabric\/(?!store\/sqlite-binding\.ts$)/, may: /^(?!libsql)/ },
  { from: /^testing\//, may: /^(testing\/|mysql2(\/promise)?$)/ },
];

function violations(graph: ImportGraph): string[] {
  return [...graph].flatMap(([file, imports]) => {
    const rules = RULES.filter(({ from }) => from.test(file));
    if (rules.length === 0) return [`${file}: no rule says what it may import`];
    return imports.filter(name => !rules.every(rule => allows(rule, name))).map(name => `${file} -> ${name}`);
  });
}

function allows({ may, notOfNode }: Rule, name: string): boolean {
  return name.startsWith('node:') ? !notOfNode?.test(name) : may.test(name);
}

const graph = importGraph(readSources(join(import.meta.dirname, '../../src')));

describe('the sources', () => {
  it('import only what the table allows', () => {
    expect(violations(graph)).toEqual([]);
  });

  it('import in no ring, neither values nor types', () => {
    expect(rings(graph)).toEqual([]);
  });

  it('import files that exist', () => {
    const missing = [...graph].flatMap(([file, imports]) =>
      imports.filter(name => name.endsWith('.ts') && !graph.has(name)).map(name => `${file} -> ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it.each(['index.ts', 'promise.ts'])("%s, a client's door, loads neither the node nor the sandbox", door => {
    const loaded = [...reachableFrom(door, graph)];
    expect(loaded).toContain('client/session.ts');
    expect(loaded.filter(name => /^(fabric|testing)/.test(name))).toEqual([]);
  });
});

describe('the command line', () => {
  it('loads no node and no logger until a node is started or stopped', () => {
    const lazy = ['start-node', 'state-store', 'until-stopped'].map(name => [`cli/${name}.ts`, []] as const);
    const loaded = [...reachableFrom('cli.ts', new Map([...graph, ...lazy]))];
    expect(loaded).toContain('client/fabric-rpc.ts');
    expect(loaded.filter(name => /^(pino|fabric\/(node|store\/create)\.ts)/.test(name))).toEqual([]);
  });

  it('alone loads the logger', () => {
    const users = [...graph].filter(([, imports]) => imports.includes('pino')).map(([file]) => file);
    expect(users).toEqual(['cli/log.ts']);
  });
});

describe('the rules', () => {
  const graphOf = (files: Record<string, string>) => importGraph(new Map(Object.entries(files)));

  it.each([
    ['client/pool.ts', "import { createFabric } from '../fabric/node.js';", 'fabric/node.ts'],
    ['client/pool.ts', "import type { Store } from '../fabric/store/store.js';", 'fabric/store/store.ts'],
    ['client/pool.ts', "type S = import('../testing/mysqld.js').Mysqld;", 'testing/mysqld.ts'],
    ['client/pool.ts', "export * from '../fabric.js';", 'fabric.ts'],
    ['client/pool.ts', "await import('libsql');", 'libsql'],
    ['client/pool.ts', "import native = require('better-sqlite3');", 'better-sqlite3'],
    ['fabric/node.ts', "import { connect } from '../client/connect.js';", 'client/connect.ts'],
    ['fabric/model.ts', "import { reply } from '../wire/reply.js';", 'wire/reply.ts'],
    ['fabric/suspicion.ts', "import { setTimeout } from 'node:timers/promises';", 'node:timers/promises'],
    ['fabric/commands/group.ts', "import { createMemoryStore } from '../store/memory.js';", 'fabric/store/memory.ts'],
    ['fabric/commands/group.ts', "import mysql from 'mysql2';", 'mysql2'],
    ['fabric/procedures/promote.ts', "import { d } from '../replication/dialect.js';", 'fabric/replication/dialect.ts'],
    ['fabric/procedures/promote.ts', "import { read } from '../commands/define.js';", 'fabric/commands/define.ts'],
    ['wire/reply.ts', "import { connect } from 'node:net';", 'node:net'],
    ['wire/reply.ts', "import xmlrpc from 'xmlrpc';", 'xmlrpc'],
    ['testing/mysqld.ts', "import { it } from 'vitest';", 'vitest'],
    ['index.ts', "const fabric = require('./fabric.js');", 'fabric.ts'],
    ['cli/call.ts', "import { createMemoryStore } from '../fabric/store/memory.js';", 'fabric/store/memory.ts'],
    ['client/pool.ts', "import { pino } from 'pino';", 'pino'],
  ])('find what %s may not: %s', (file, text, forbidden) => {
    expect(violations(graphOf({ [file]: text }))).toEqual([`${file} -> ${forbidden}`]);
  });

  it('have something to say about every file', () => {
    expect(violations(graphOf({ 'utils.ts': '' }))).toEqual(['utils.ts: no rule says what it may import']);
  });

  it('find a ring, also one of types', () => {
    const files = {
      'client/a.ts': "import { b } from './b.js';",
      'client/b.ts': "import type { C } from './c.js';",
      'client/c.ts': "export type { A } from './a.js';",
      'client/d.ts': "import './a.js'; import './e.js';",
      'client/e.ts': "import './e.js';",
    };
    expect(rings(graphOf(files))).toEqual([['client/a.ts', 'client/b.ts', 'client/c.ts'], ['client/e.ts']]);
  });

  it('refuse an import that cannot be read', () => {
    expect(() => graphOf({ 'client/a.ts': 'await import(name);' })).toThrow('client/a.ts');
  });
});
