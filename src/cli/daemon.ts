import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../fabric/config-file.js';
import { CliError, unwritableLog } from './failure.js';
import { TOOL } from './help.js';
import { type DaemonMessage, type Io, STATUS } from './io.js';

/** `manage start --daemonize`: the same tool again as a process of its own, and this one waits until it has started, or says why not. */

/** The store is tried again and again, and what a killed node has left is ended first. */
const PATIENCE_MS = 300_000;
/** For a node that has not started yet to end by itself. */
const FAREWELL_MS = 3_000;
const DAEMONIZE = '--daemonize';

/** @returns 0 when the node has started. @throws CliError when it has not. */
export async function startDaemon(config: Config, io: Io, argv: readonly string[]): Promise<number> {
  const { file } = config.logging;
  if (file === null) {
    throw new CliError(
      'A node in the background needs a file for its log.',
      '[logging] url of the configuration names it, as file:///var/log/fabric.log.',
    );
  }
  // Asked for first: from here on whoever ends this process ends the one that it begins.
  const signal = io.signal();
  const child = spawnSelf(io, argv, file);
  const timeUp = new AbortController();
  const outcome = await Promise.race([
    outcomeOf(child),
    signal.then(name => ({ signal: name })),
    sleep(PATIENCE_MS, 'late' as const, { signal: timeUp.signal }).catch(() => 'late' as const),
  ]);
  timeUp.abort();
  if (outcome === 'started') {
    child.unref();
    io.out(`The node runs as process ${child.pid}. Its log is ${file}.\n`);
    return 0;
  }
  await end(child);
  if (outcome === 'late')
    throw new CliError('The node did not start in time.', `Its log ${file} says what it waits for.`);
  if ('signal' in outcome) return STATUS[outcome.signal];
  if (outcome.said !== '') {
    io.err(outcome.said);
    return 1;
  }
  throw new CliError(
    `The node ended as it started (${outcome.how}).`,
    `Its log ${file} says why; '${TOOL} manage start' shows it here.`,
  );
}

/** It may be in the middle of its start: what it leaves, the next one finds. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  child.kill('SIGTERM');
  await sleep(FAREWELL_MS, undefined, { signal: ended.signal }).catch(() => {});
  if (!ended.signal.aborted) child.kill('SIGKILL');
}

/** What the process prints in spite of its log, the stack of a crash, goes to that file too. */
function spawnSelf(
  { self: [program = '', ...before], env, cwd }: Io,
  argv: readonly string[],
  log: string,
): ChildProcess {
  const fd = openLogFile(log);
  try {
    const words = argv.filter((word, index) => word !== DAEMONIZE || argv.slice(0, index).includes('--'));
    return spawn(program, [...before, ...words], {
      cwd,
      env: { ...env },
      detached: true,
      stdio: ['ignore', fd, fd, 'ipc'],
    });
  } finally {
    closeSync(fd);
  }
}

function openLogFile(file: string): number {
  try {
    return openSync(file, 'a');
  } catch (cause) {
    throw unwritableLog(file, cause);
  }
}

interface Failure {
  /** Its own words for the terminal. */
  readonly said: string;
  /** Its exit status or what killed it. */
  readonly how: string;
}

function outcomeOf(child: ChildProcess): Promise<'started' | Failure> {
  return new Promise(resolve => {
    let said = '';
    child.on('message', message => {
      const heard = message as DaemonMessage;
      if ('started' in heard) resolve('started');
      else said += heard.err;
    });
    child.once('error', error => resolve({ said, how: error.message }));
    child.once('close', (status, signal) => resolve({ said, how: signal ?? `exit status ${status}` }));
  });
}
