import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from './cluster.js';

/** One of the examples, run as its reader would run it: by its file, with the package as it is built. */
export class Example {
  #output = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;

  /** @param name of a file in examples/, without `.ts`. */
  constructor(name: string, env: Readonly<Record<string, string>>) {
    const path = join(import.meta.dirname, '../../examples', `${name}.ts`);
    this.#child = spawn(process.execPath, ['--import', 'tsx', path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#ended = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    }
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Waits until it has printed something that matches. */
  async prints(pattern: RegExp, timeout = 20_000): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    const look = () => {
      found = pattern.exec(this.#output);
      if (found === null && this.#child.exitCode !== null) throw new Error(`It ended; printed was:\n${this.#output}`);
      return found !== null;
    };
    try {
      await until(`output like ${pattern}`, look, timeout);
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : cause}\nPrinted was:\n${this.#output}`, { cause });
    }
    return found as unknown as RegExpExecArray;
  }

  /** Its exit status, once it has ended by itself or by the signal. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined) this.#child.kill(signal);
    const [status] = await this.#ended;
    return status as number | null;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
