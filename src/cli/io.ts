import type { Terminal } from './prompt.js';

/** Everything outside that the tool touches; `cli.ts` makes it of the process, tests of their own. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  out(text: string): void;
  err(text: string): void;
  /** All of stdin, as text. */
  input(): Promise<string>;
  /** Whoever sits in front of it; null: nobody. */
  readonly terminal: Terminal | null;
  /** The next SIGTERM or SIGINT, which otherwise ends the process. */
  signal(): Promise<'SIGINT' | 'SIGTERM'>;
}
