#!/usr/bin/env node
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { type DaemonMessage, type Io, type Signal, STATUS } from './cli/io.js';
import { main } from './cli/main.js';

/** The command line tool `mysqlfabric`: this process, as the rest of it sees it. */

/** One who waits for a signal gets the first; without one, or the second time, it ends the process. */
let waiting: ((signal: Signal) => void) | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const tell = waiting ?? (() => process.exit(STATUS[signal]));
    waiting = undefined;
    tell(signal);
  });
}

/** To the process that began this one as a daemon, if it still listens. */
function tell(message: DaemonMessage): void {
  process.send?.(message, undefined, undefined, () => {
    if ('started' in message && process.connected) process.disconnect();
  });
}

const io: Io = {
  env: process.env,
  cwd: process.cwd(),
  out: text => process.stdout.write(text),
  err: text => (process.connected ? tell({ err: text }) : process.stderr.write(text)),
  watched: process.stderr.isTTY === true,
  input: () => text(process.stdin),
  terminal: process.stdin.isTTY ? process.stdin : null,
  signal: () =>
    new Promise(resolve => {
      waiting = resolve;
    }),
  onHangUp: work => process.on('SIGHUP', work),
  self: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
  started: () => {
    if (process.connected) tell({ started: true });
  },
};

process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  // Whoever reads no further (`mysqlfabric ... | head`) has what they want.
  if (code === 'EPIPE') process.exit(0);
  // What was asked for may be done; only its answer is lost.
  writeSync(
    2,
    `mysqlfabric: The answer cannot be written (${code ?? message}).\nIs the disk full? What was asked for may have been done.\n`,
  );
  process.exit(1);
});

void main(process.argv.slice(2), io).then(status => {
  process.exitCode = status;
});
