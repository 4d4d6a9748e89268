/** What a caller may say about a server, and what follows from it. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { freePort } from './free-port.js';
import { runFolder } from './run-folder.js';
import { renderOptions, type ServerOptions, semiSyncArguments, versionNumber } from './server-options.js';
import type { ServerProgram } from './server-program.js';

/** How a server is started. */
export interface MysqldOptions {
  /** '9.7', which takes the newest MySQL found, or '5.6'. Default: the environment's FABRIC_TEST_MYSQL, else '9.7'. */
  readonly version?: string;
  /** TCP port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Default: unique among the servers of this process and unlikely elsewhere. */
  readonly serverId?: number;
  /** Options of mysqld, after and therefore above the sandbox's own. */
  readonly options?: ServerOptions;
  /** Loads both semi-synchronous plugins, switched off. MySQL 5.7 and later. Default: false. */
  readonly semiSync?: boolean;
  /**
   * A folder for data and log; with data of an earlier run in it, the server goes on with them. Default: one of its own in TMPDIR,
   * or in /dev/shm when that has 2 GB free, or in the temporary folder.
   */
  readonly dir?: string;
  /** Leaves `dir` in place at the end, as is always done with one that was there before. Needs `dir`. Default: false. */
  readonly keepDir?: boolean;
  /** Milliseconds a start may take before it fails; default 60,000. Fetching and initialising, done once, do not count. */
  readonly startTimeout?: number;
  /** Milliseconds a clean shutdown may take before the server is killed; default 30,000. */
  readonly stopTimeout?: number;
}

/** The same with nothing left open. */
export interface MysqldSettings {
  readonly program: ServerProgram;
  /** Unique in this process. */
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly serverId: number;
  readonly args: readonly string[];
  readonly keepDir: boolean;
  readonly startTimeout: number;
  readonly stopTimeout: number;
}

let started = 0;

/** Fills in what was not said. Throws a TypeError for a combination that makes no sense. */
export async function settleOptions(program: ServerProgram, options: MysqldOptions): Promise<MysqldSettings> {
  if (options.keepDir && options.dir === undefined)
    throw new TypeError('keepDir needs dir: other folders end with the process');
  // read once: others start while this one waits for a port
  const number = ++started;
  const name = `server-${number}`;
  const own = renderOptions(options.options ?? {});
  const semiSync = options.semiSync ? semiSyncArguments(versionNumber(program.version)) : [];
  return {
    program,
    name,
    dir: options.dir === undefined ? join(runFolder().path, name) : resolve(options.dir),
    port: options.port ?? (await freePort()),
    serverId: options.serverId ?? newServerId(number),
    args: [...semiSync, ...own],
    keepDir: options.keepDir === true || (options.dir !== undefined && existsSync(options.dir)),
    startTimeout: options.startTimeout ?? 60_000,
    stopTimeout: options.stopTimeout ?? 30_000,
  };
}

/** Below 2^31, and different in processes that run at once. */
function newServerId(count: number): number {
  return (process.pid % 2_000_000) * 1_000 + (count % 1_000);
}
