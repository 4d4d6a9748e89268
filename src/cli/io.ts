import type { Terminal } from './prompt.js';

/** What the node's process says to the one that began it. */
export type DaemonMessage = { readonly started: true } | { readonly err: string };

/** The exit status of what a signal has ended. */
export const STATUS = { SIGINT: 130, SIGTERM: 143 } as const;
export type Signal = keyof typeof STATUS;

/** Everything outside that the tool touches; `cli.ts` makes it of the process, tests of their own. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  out(text: string): void;
  err(text: string): void;
  /** Whether somebody sees at once what goes to `err`. */
  readonly watched: boolean;
  /** All of stdin, as text. */
  input(): Promise<string>;
  /** Whoever sits in front of it; null: nobody. */
  readonly terminal: Terminal | null;
  /** The next SIGTERM or SIGINT, which otherwise ends the process. */
  signal(): Promise<Signal>;
  /** Calls back at each SIGHUP, which otherwise ends the process. */
  onHangUp(work: () => void): void;
  /** The program and the words before those of the command line, to start the tool once more. */
  readonly self: readonly string[];
  /** Tells whoever began this process as a daemon that it has started. */
  started(): void;
}
