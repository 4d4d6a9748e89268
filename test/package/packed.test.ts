import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMPILERS, Consumer } from './consumer.js';

const require = createRequire(import.meta.url);

let consumer: Consumer;
beforeAll(async () => {
  consumer = await Consumer.create();
});
afterAll(async () => {
  await consumer.remove();
});

const OURS = {
  MODE_READONLY: 1,
  MODE_WRITEONLY: 2,
  MODE_READWRITE: 3,
  STATUS_FAULTY: 0,
  STATUS_SPARE: 1,
  STATUS_SECONDARY: 2,
  STATUS_PRIMARY: 3,
};
const FUNCTIONS = ['connect', 'createConnection', 'createPool', 'FabricError'];
const CLIENT_DOORS = [
  ['mysql2-fabric', 'mysql2'],
  ['mysql2-fabric/promise', 'mysql2/promise'],
] as const;

/** How a program may get hold of a door; each sets `door`. */
const WAYS = {
  'require()': ['smoke.cjs', (door: string) => `const door = require('${door}');`],
  'import *': ['star.mjs', (door: string) => `import * as door from '${door}';`],
  'import default': ['default.mjs', (door: string) => `import door from '${door}';`],
  'await import()': [
    'dynamic.cjs',
    (door: string) => `main(); async function main() { const door = await import('${door}');`,
  ],
} as const;

type Way = keyof typeof WAYS;
const ways = Object.keys(WAYS) as Way[];

/** What a program that got hold of the door sees. */
async function look(way: Way, door: string, expression: string): Promise<unknown> {
  const [name, begin] = WAYS[way];
  const end = way === 'await import()' ? '}' : '';
  return JSON.parse(await consumer.node(name, `${begin(door)}\nconsole.log(JSON.stringify(${expression}));${end}`));
}

describe.each(CLIENT_DOORS)('%s, packed and installed', (door, original) => {
  it.each(ways)('has by %s all that mysql2 has, and what is ours', async way => {
    const kinds = (await look(
      way,
      door,
      'Object.fromEntries(Object.keys(door).map(name => [name, typeof door[name]]))',
    )) as Record<string, string>;
    const theirs = require(original) as Record<string, unknown>;
    for (const [name, value] of Object.entries(theirs)) expect(kinds, name).toHaveProperty(name, typeof value);
    for (const name of FUNCTIONS) expect(kinds).toHaveProperty(name, 'function');
  });

  it.each(ways)('has by %s the codes of modes and statuses', async way => {
    const names = JSON.stringify(Object.keys(OURS));
    expect(await look(way, door, `Object.fromEntries(${names}.map(name => [name, door[name]]))`)).toEqual(OURS);
  });

  it("makes connections that are instances of mysql2's classes", async () => {
    const options = "{ fabric: '127.0.0.1:1', user: 'app', group: 'g' }";
    const isTheirs = (name: string) => `door.connect(${options}) instanceof door.${name}`;
    expect(await look('require()', door, isTheirs(original === 'mysql2' ? 'Connection' : 'PromiseConnection'))).toBe(
      true,
    );
  });
});

it.each(['mysql2-fabric', 'mysql2-fabric/promise'])('%s loads no native module, no node and no sandbox', async door => {
  const loaded = (await look('require()', door, 'Object.keys(require.cache)')) as string[];
  expect(loaded.filter(path => path.includes('client/session.js'))).toHaveLength(1);
  expect(loaded.filter(path => path.endsWith('.node') || /commonjs\/(fabric|testing)|\/pino\//.test(path))).toEqual([]);
});

describe('the command line', () => {
  const installed = () => join(consumer.dir, 'node_modules/mysql2-fabric');
  const io = `{
    env: { MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: '127.0.0.1:1', MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: 'x' },
    cwd: '/nowhere', terminal: null, out() {}, err() {}, signal: () => new Promise(() => {}),
  }`;

  it('is a program', async () => {
    const { bin } = JSON.parse(readFileSync(join(installed(), 'package.json'), 'utf8')) as {
      bin: { mysqlfabric: string };
    };
    const path = join(installed(), bin.mysqlfabric);
    expect(readFileSync(path, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    const started = await consumer.node('cli.mjs', `process.argv[2] = '--version'; await import('${path}');`);
    expect(started).toMatch(/^\d+\.\d+\.\d+$/);
    expect(readFileSync(join(installed(), 'examples/fabric.cfg'), 'utf8')).toContain('[servers]');
  });

  it('loads no driver, no node and no logger for a call, as CommonJS', async () => {
    const main = join(installed(), 'dist/commonjs/cli/main.js');
    const printed = await consumer.node(
      'call.cjs',
      `require('${main}').main(['manage', 'ping'], ${io}).then(status => {
        console.log(JSON.stringify({ status, loaded: Object.keys(require.cache) }));
      });`,
    );
    const { status, loaded } = JSON.parse(printed) as { status: number; loaded: string[] };
    expect(status).toBe(1);
    expect(loaded.filter(path => /client\/fabric-rpc\.js$/.test(path))).toHaveLength(1);
    expect(loaded.filter(path => /\/(mysql2|pino|libsql)\/|fabric\/node\.js$|\.node$/.test(path))).toEqual([]);
  });
});

it.each([
  ['mysql2-fabric/fabric', ['CommandError', 'createFabric']],
  [
    'mysql2-fabric/testing',
    ['APP_DATABASE', 'FaultProxy', 'Mysqld', 'SERVER_VERSIONS', 'accounts', 'startMysqlds', 'testServers'],
  ],
])('%s has its names by require and import', async (door, names) => {
  for (const way of ['require()', 'import *'] as const) {
    expect(await look(way, door, 'Object.keys(door).sort()')).toEqual(expect.arrayContaining(names));
  }
});

describe('its types', () => {
  beforeAll(async () => {
    await consumer.copy(join(import.meta.dirname, '../types'), 'orms.ts');
    // what the README and the manuals show, but that of the ORMs, which are not installed there
    const root = join(import.meta.dirname, '../..');
    const names = readdirSync(join(root, 'docs')).filter(name => name !== 'orms.md');
    const manuals = ['README.md', ...names.map(name => `docs/${name}`)];
    const blocks = manuals.flatMap(path => [...readFileSync(join(root, path), 'utf8').matchAll(/```ts\n(.*?)```/gs)]);
    expect(blocks.length).toBeGreaterThan(10);
    for (const [index, [, text]] of blocks.entries()) await consumer.write(`src/shown-${index}.ts`, text ?? '');
  });

  it.each([
    { module: 'nodenext', skipLibCheck: false },
    { module: 'nodenext', exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    { module: 'node16', moduleResolution: 'node16', skipLibCheck: false },
    { module: 'preserve', moduleResolution: 'bundler', skipLibCheck: false },
  ])('compile with %j', async options => {
    expect(await consumer.compile({ skipLibCheck: true, ...options })).toBe('');
  });

  it.each([
    { module: 'nodenext', skipLibCheck: false },
    { module: 'preserve', moduleResolution: 'bundler' },
  ])('compile with TypeScript 5 and %j', async options => {
    expect(COMPILERS.older.version).toMatch(/^5\./);
    expect(await consumer.compile({ skipLibCheck: true, ...options }, COMPILERS.older)).toBe('');
  });
});
