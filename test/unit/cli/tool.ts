import type { Io } from '../../../src/cli/io.js';
import { main } from '../../../src/cli/main.js';
import type { Terminal } from '../../../src/cli/prompt.js';

/** The tool in this process: what it prints, and its exit status. */

export interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly terminal?: Terminal;
  /** What stdin has. */
  readonly input?: string;
  /** Whether stderr is a terminal. */
  readonly watched?: boolean;
}

/** @param line as it is typed, without the tool's name; words are split at blanks. */
export async function tool(
  line: string,
  { env = {}, cwd = '/', terminal, input = '', watched = false }: Surroundings = {},
): Promise<Ended> {
  let out = '';
  let err = '';
  const io: Io = {
    env,
    cwd,
    out: text => {
      out += text;
    },
    err: text => {
      err += text;
    },
    watched,
    input: async () => input,
    terminal: terminal ?? null,
    signal: () => new Promise(() => {}),
    onHangUp: () => {},
    self: [],
    started: () => {},
  };
  const status = await main(line.split(' ').filter(Boolean), io);
  return { status, out, err };
}
