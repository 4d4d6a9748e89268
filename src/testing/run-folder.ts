/**
 * The folder of this process's servers, and the guardian that ends them with it.
 *
 * A killed process cannot clean up after itself. So a small shell waits at the end of a pipe that only this process holds: when
 * the process is gone, however it went, the pipe closes, and the shell kills what is written in `pids/` and removes the folder.
 * Signals and exit codes of this process stay what they were, for it needs no handler of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './build-once.js';

const PREFIX = 'mysql2-fabric-';
const SHARED_MEMORY = '/dev/shm';
const SHARED_MEMORY_NEEDED = 2 * 1024 ** 3;

/** Twice, because a server may just have been on its way; `$1` is the folder. */
const GUARDIAN = `
trap '' INT TERM HUP
while read -r line; do :; done
for turn in 1 2; do
  for file in "$1"/pids/*; do
    read -r pid <"$file" && kill -9 "$pid"
  done
  rm -rf "$1"
  sleep 0.2
done
rm -rf "$1"
`;

/** Where a process keeps its servers. */
export interface RunFolder {
  readonly path: string;
  /** The file that a server's process id is written to, by `withPidFile`. */
  pidFile(name: string): string;
}

let current: { folder: RunFolder; guardian: ChildProcess } | undefined;

/** This process's folder; made, with its guardian, at the first call. */
export function runFolder(): RunFolder {
  current ??= openRunFolder(baseFolder());
  const { guardian, folder } = current;
  if (guardian.exitCode !== null || guardian.signalCode !== null) current.guardian = startGuardian(folder.path);
  return folder;
}

/** The command, run by a shell that first writes its process id: from then on the guardian knows it. No folder, no start. */
export function withPidFile(command: readonly string[], pidFile: string): string[] {
  return ['/bin/sh', '-c', 'file=$1; shift; echo $$ >"$file" && exec "$@"', 'sh', pidFile, ...command];
}

/** TMPDIR if set; else shared memory, which halves the start of a server, if there is enough; else the usual temporary folder. */
function baseFolder(): string {
  if (process.env.TMPDIR || process.platform !== 'linux') return tmpdir();
  try {
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    return bavail * bsize > SHARED_MEMORY_NEEDED ? SHARED_MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

function openRunFolder(base: string): { folder: RunFolder; guardian: ChildProcess } {
  removeStaleFolders(base);
  const path = mkdtempSync(join(base, `${PREFIX}${process.pid}-`));
  mkdirSync(join(path, 'pids'));
  writeFileSync(join(path, 'host'), hostname());
  process.on('exit', () => endServers(path));
  const guardian = startGuardian(path);
  return { folder: { path, pidFile: name => join(path, 'pids', name) }, guardian };
}

/** In a session of its own, so that Ctrl-C at the terminal does not reach it. */
function startGuardian(path: string): ChildProcess {
  const guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'sh', path], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guardian.unref();
  guardian.on('error', () => {});
  const input = guardian.stdin as typeof guardian.stdin & { unref?(): void };
  input?.on('error', () => {});
  input?.unref?.();
  return guardian;
}

/** Kills, at once, every server of a run folder whose process id still belongs to it, and removes the folder. */
function endServers(path: string): void {
  for (const pid of writtenPids(path)) killQuietly(pid);
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // a dying server still wrote to it; the guardian removes it in a moment
  }
}

function writtenPids(path: string): number[] {
  const folder = join(path, 'pids');
  return listFolder(folder)
    .map(name => Number(readQuietly(join(folder, name))))
    .filter(pid => Number.isInteger(pid) && pid > 1);
}

/** Folders of processes that are gone together with their guardian, after a power cut for example. */
function removeStaleFolders(base: string): void {
  for (const name of listFolder(base)) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    const path = join(base, name);
    // another container may share the folder, and its process ids mean nothing here
    if (owner === undefined || isAlive(Number(owner)) || readQuietly(join(path, 'host')) !== hostname()) continue;
    try {
      for (const pid of writtenPids(path)) {
        // the id may have a new owner by now
        if (readQuietly(`/proc/${pid}/cmdline`).includes(path)) killQuietly(pid);
      }
      rmSync(path, { recursive: true, force: true });
    } catch {
      // another user's
    }
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
