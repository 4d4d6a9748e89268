import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from './cluster.js';

/** What an application's process lives through: it ends by itself, and nothing unheard ever ends it. */

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start(2);
});
afterAll(() => cluster.stop());

interface End {
  readonly code: number | null;
  readonly output: string;
  readonly ms: number;
}

const index = new URL('../../src/index.ts', import.meta.url).href;

/** Runs `body` with `mysql` (our callback door), `options` and `sleep`, in a process of its own, and waits for it to end. */
function run(body: string, options: object = {}): Promise<End> {
  const program = `
    import mysql from ${JSON.stringify(index)};
    import { setTimeout as sleep } from 'node:timers/promises';
    const options = ${JSON.stringify({ ...cluster.clientOptions, ...options })};
    ${body}`;
  const began = performance.now();
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], { cwd: root });
  let output = '';
  child.stdout.on('data', chunk => (output += chunk));
  child.stderr.on('data', chunk => (output += chunk));
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  return new Promise(resolve => {
    child.on('close', code => {
      clearTimeout(late);
      resolve({ code, output, ms: performance.now() - began });
    });
  });
}

const ENDS: readonly [name: string, body: string][] = [
  [
    'after end of a pool',
    `const pool = mysql.createPool(options).promise();
     await Promise.all([1, 2, 3].map(() => pool.query('SELECT 1')));
     await pool.query({ sql: 'SELECT 1', mode: 1 });
     await pool.end();`,
  ],
  [
    'after end of a connection',
    `const connection = mysql.connect(options).promise();
     await connection.query('SELECT 1');
     await connection.end();`,
  ],
  [
    'after end of one that was never used',
    'await mysql.connect(options).promise().end(); await mysql.createPool(options).promise().end();',
  ],
  [
    'after destroy, with a statement under way',
    `const connection = mysql.connect(options);
     connection.query('SELECT SLEEP(30)', () => {});
     await sleep(300);
     connection.destroy();`,
  ],
  [
    'after destroy before it was connected',
    "const connection = mysql.connect(options); connection.query('SELECT 1', () => {}); connection.destroy();",
  ],
  [
    'after end of a pool with a connection that nobody released',
    'const pool = mysql.createPool(options).promise(); await pool.getConnection(); await pool.end();',
  ],
  [
    'after end of a pool whose topology is being fetched',
    `const pool = mysql.createPool({ ...options, ttl: 0.05 }).promise();
     await pool.query('SELECT 1'); await sleep(100); pool.query('SELECT 1'); await pool.end();`,
  ],
];

describe('the process ends by itself', () => {
  it.each(ENDS)('%s', async (_name, body) => {
    const { code, output, ms } = await run(body);
    expect(output).toBe('');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(9_000);
  });
});

const UNHEARD: readonly [name: string, body: string, options: object][] = [
  [
    'a lost connection, idle and busy, with nobody listening',
    `const pool = mysql.createPool(options);
     const connection = mysql.createConnection(options);
     await connection.promise().query('SELECT 1');
     const [[{ id }]] = await pool.promise().query('SELECT CONNECTION_ID() AS id');
     pool.query('SELECT SLEEP(5)');
     connection.query('SELECT SLEEP(5)');
     await sleep(200);
     const killer = mysql.createPool({ ...options, user: 'fabric', password: 'fabric' }).promise();
     const [rows] = await killer.query("SELECT id FROM information_schema.processlist WHERE user = 'app'");
     for (const row of rows) await killer.query('KILL ' + row.id).catch(() => {});
     await sleep(200);
     await killer.end();`,
    {},
  ],
  [
    'a group that does not exist',
    'const c = mysql.createConnection(options); await sleep(500); c.destroy();',
    { group: 'x' },
  ],
  [
    'a wrong password',
    "const c = mysql.createConnection(options); c.query('SELECT 1'); await sleep(500); c.destroy();",
    { password: 'wrong' },
  ],
  [
    'a Fabric node that is not there',
    "const c = mysql.createConnection(options); c.query('SELECT 1'); await sleep(500); c.destroy();",
    { fabric: '127.0.0.1:1' },
  ],
  [
    'statements without callbacks that fail',
    "const pool = mysql.createPool(options); pool.query('SELEKT'); pool.execute('SELEKT'); await sleep(500); pool.end();",
    {},
  ],
  [
    'a group that is not chosen',
    "const pool = mysql.createPool({ ...options, group: undefined }); pool.query('SELECT 1'); await sleep(100); pool.end();",
    {},
  ],
];

describe('an error that nobody listens for does not end the process', () => {
  it.each(UNHEARD)('%s', async (_name, body, options) => {
    const { code, output } = await run(`${body}\nconsole.log('alive'); process.exit(0);`, options);
    expect(output).toBe('alive\n');
    expect(code).toBe(0);
  });
});
