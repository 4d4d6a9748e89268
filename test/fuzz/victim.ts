import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { nextMessage } from '../next-message.js';
import type { Listening, Measures } from './node-process.js';

/** The node that is thrown at, seen from the thrower. */

const PATIENCE = 30_000;

export class Victim {
  readonly ports: Listening;
  readonly #child: ChildProcess;
  readonly #said: readonly string[];

  private constructor(child: ChildProcess, said: readonly string[], ports: Listening) {
    this.#child = child;
    this.#said = said;
    this.ports = ports;
  }

  static async start(): Promise<Victim> {
    const program = join(import.meta.dirname, 'node-process.ts');
    const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', program], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => said.push(String(chunk)));
    return new Victim(child, said, (await heard(child, said)) as Listening);
  }

  /** What it has printed: a node prints nothing, and says on its way out what killed it. */
  get said(): string {
    return this.#said.join('');
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  measure(): Promise<Measures> {
    this.#child.send('measure');
    return heard(this.#child, this.#said) as Promise<Measures>;
  }

  /** Stopped as an operator would; it has to end by itself. */
  async stop(): Promise<void> {
    if (!this.alive) return;
    const ended = once(this.#child, 'exit', { signal: AbortSignal.timeout(PATIENCE) });
    this.#child.send('stop');
    await ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

async function heard(child: ChildProcess, said: readonly string[]): Promise<unknown> {
  const message = await nextMessage(child, PATIENCE).catch(cause => {
    throw new Error(`The node says nothing:\n${said.join('')}`, { cause });
  });
  if (message === undefined) throw new Error(`The node died:\n${said.join('')}`);
  return message;
}
