import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './cluster.js';

/** `mysqlfabric` as it is built, as a process. */

const ROOT = join(import.meta.dirname, '../..');
const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: { mysqlfabric: string } };

/** The program's file. */
export const CLI = join(ROOT, bin.mysqlfabric);

interface Surroundings {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class CliProcess {
  static readonly #running = new Set<CliProcess>();
  out = '';
  err = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  constructor(words: readonly string[], { cwd, env = {} }: Surroundings) {
    this.#child = spawn(process.execPath, [CLI, ...words], {
      cwd,
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.err += chunk.toString();
    });
    CliProcess.#running.add(this);
  }

  /** Waits until stderr has something that matches. */
  async says(pattern: RegExp): Promise<void> {
    await until(`stderr like ${pattern}`, () => {
      if (this.#child.exitCode !== null && !pattern.test(this.err))
        throw new Error(`It ended:\n${this.out}${this.err}`);
      return pattern.test(this.err);
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async ended(): Promise<{ status: number | null; out: string; err: string }> {
    const [status] = await this.#closed;
    CliProcess.#running.delete(this);
    return { status: status as number | null, out: this.out, err: this.err };
  }

  /** Of all that a test has left. */
  static endAll(): void {
    for (const left of CliProcess.#running) left.signal('SIGKILL');
    CliProcess.#running.clear();
  }
}
