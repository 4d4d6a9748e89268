import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { nextMessage } from '../next-message.js';

/** The process of a node that may be killed, and the next one, which waits: so that a start is a node's start and not that of Node.js. */

export type Call = readonly [name: string, ...args: unknown[]];

/** What a node is to do besides. */
export interface Plan {
  /** Names for the servers, by port: points are called by them. */
  readonly roles: Readonly<Record<number, string>>;
  /** The point at which it kills itself. */
  readonly crashAt?: string | undefined;
  /** A call on a server (`S1 unfence before`; `S1 executed before #2`: the second one) fails, once; the process `kills` is killed then. */
  readonly failure?: { readonly at: string; readonly kills?: number | undefined } | undefined;
}

export interface Order {
  readonly plan: Plan;
  /** Starts the node, with this file as its store. */
  readonly start?: string;
  readonly call?: Call;
  /** In place of a call: answers when a run of this procedure ends. */
  readonly awaits?: string;
}

export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly error: string | null;
  /** The points that were passed. */
  readonly labels: readonly string[];
  readonly sentences: readonly string[];
  /** How long the node took to start. */
  readonly ms: number;
}

/** The node's program in one file of JavaScript: a start costs a fraction of what it does in TypeScript, and there are hundreds. */
export async function compileNode(): Promise<{ file: string; remove(): void }> {
  const root = join(import.meta.dirname, '../..');
  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'crash-'));
  const file = join(folder, 'crash-node.mjs');
  await build({
    ...{ entryPoints: [join(root, 'test/integration/crash-node.ts')], outfile: file, logLevel: 'error' },
    ...{ bundle: true, platform: 'node', format: 'esm', external: ['libsql'] },
    // What is bundled of CommonJS asks for Node's own modules by it.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
  });
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** ms within which a node must have answered or died, whatever it was told. */
const BOUND = 120_000;

export class CrashProcess {
  readonly #program: string;
  #node: ChildProcess | undefined;
  #next: ChildProcess;

  constructor(program: string) {
    this.#program = program;
    this.#next = fork(program, { execArgv: [] });
  }

  /** Undefined: it died before it served. */
  start(file: string, plan: Plan): Promise<Answer | undefined> {
    this.#node?.kill('SIGKILL');
    this.#node = this.#next;
    this.#next = fork(this.#program, { execArgv: [] });
    return this.order({ start: file, plan });
  }

  /** Undefined: the node died, as it was told to. */
  async order(order: Order): Promise<Answer | undefined> {
    const node = this.#node;
    if (!node) throw new Error('no node');
    node.send(order);
    return (await nextMessage(node, BOUND)) as Answer | undefined;
  }

  stop(): void {
    this.#node?.kill('SIGKILL');
    this.#next.kill('SIGKILL');
  }
}
