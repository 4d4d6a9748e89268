/** Runs a helper program to its end, within a bound. */
import { spawn } from 'node:child_process';

const OUTPUT_KEPT = 1_000_000;
const OUTPUT_QUOTED = 2_000;

/** How a helper program is run. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the program is killed and the run fails; default 60,000. */
  readonly timeout?: number;
  /** Fed to its standard input. */
  readonly input?: string;
}

/** Resolves with standard output; rejects with an Error that quotes what the program said. */
export function runProgram(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program = '', ...args] = command;
  const timeout = options.timeout ?? 60_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: options.cwd, env: { ...process.env, ...options.env } });
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    const fail = (why: string, cause?: unknown) => {
      clearTimeout(timer);
      const said = (stderr.trim() || stdout.trim()).slice(-OUTPUT_QUOTED);
      reject(new Error(`${command.slice(0, 4).join(' ')}: ${why}${said ? `\n${said}` : ''}`, { cause }));
    };
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout = (stdout + text).slice(-OUTPUT_KEPT);
    });
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr = (stderr + text).slice(-OUTPUT_KEPT);
    });
    child.on('error', error => fail(error.message, error));
    child.on('close', (code, signal) => {
      if (code !== 0) return fail(signal ? `ended by ${signal} (bound: ${timeout} ms)` : `exit code ${code}`);
      clearTimeout(timer);
      resolve(stdout);
    });
    // a program that ends early closes its input; its exit code tells the story
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** Where a program is on PATH, as the shell would find it. */
export async function whichProgram(name: string): Promise<string | undefined> {
  try {
    const path = (await runProgram(['/bin/sh', '-c', 'command -v "$1"', 'sh', name])).trim();
    return path.startsWith('/') ? path : undefined;
  } catch {
    return undefined;
  }
}
