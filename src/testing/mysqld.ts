/** Real MySQL servers for tests: started from a template, gone with the process that started them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { accounts } from './accounts.js';
import { untilFrozen } from './frozen.js';
import { lastLines } from './log-file.js';
import { type MysqldOptions, type MysqldSettings, settleOptions } from './mysqld-options.js';
import { ReachableServer } from './reachable-server.js';
import { runFolder, withPidFile } from './run-folder.js';
import { serverArguments, versionNumber } from './server-options.js';
import { chosenVersion, findServerProgram } from './server-program.js';
import { copyTemplate } from './template.js';

const HOST = '127.0.0.1';
const LOGIN_PAUSE = 20;
const LOGIN_BOUND = 2_000;
const PORT_ATTEMPTS = 3;
/** The exit code by which a server asks to be started again, after RESTART and CLONE. */
const RESTART_WANTED = 16;

const servers = new Set<Mysqld>();

/** A mysqld of this process. It ends with the process, even when that is killed. */
export class Mysqld extends ReachableServer {
  /** It is this process's own: it can be stopped, killed and paused. */
  readonly managed = true;
  readonly serverId: number;
  /** As the server says it, for example '9.7.4'. */
  readonly version: string;
  readonly datadir: string;
  /** For its temporary tables and files. */
  readonly tmpdir: string;
  /** All that the server prints. */
  readonly logFile: string;
  readonly #settings: MysqldSettings;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  private constructor(settings: MysqldSettings) {
    super({ host: HOST, port: settings.port }, accounts.root);
    this.#settings = settings;
    this.serverId = settings.serverId;
    this.version = settings.program.version;
    this.datadir = join(settings.dir, 'data');
    this.tmpdir = join(settings.dir, 'tmp');
    this.logFile = join(settings.dir, 'mysqld.log');
  }

  /**
   * A new server with fresh data, once a login works: about 0.5 s. The first start of a version fetches and initialises it, which
   * takes up to a minute. Rejects with the end of the server's log when it does not come up.
   */
  static async start(options: MysqldOptions = {}): Promise<Mysqld> {
    const program = await findServerProgram(chosenVersion(options.version));
    for (let attempt = 1; ; attempt += 1) {
      const server = new Mysqld(await settleOptions(program, options));
      servers.add(server);
      try {
        if (!existsSync(server.datadir)) await copyTemplate(program, server.datadir);
        await server.start();
        return server;
      } catch (error) {
        const portTaken = /address already in use|another mysqld server running on port/i.test(server.log(200));
        await server.remove();
        if (!portTaken || options.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /** Kills every server of this process and removes its files, except kept ones. */
  static async stopAll(): Promise<void> {
    await Promise.all([...servers].map(server => server.remove()));
  }

  /** The process id, undefined while the server is down. */
  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  /** Whether the process exists; a paused one does. */
  get running(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Starts it again after `stop` or `kill`: same port, same data. Nothing happens while it runs. */
  async start(): Promise<void> {
    if (this.running) return;
    this.#spawn();
    try {
      await this.#untilLogin(Date.now() + this.#settings.startTimeout);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Shuts it down cleanly, paused or not, and kills it when that takes too long. The data stay for `start`. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM', this.#settings.stopTimeout);
  }

  /** Kills it as a power cut would; resolves when the process is gone. The data stay for `start`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL', this.#settings.stopTimeout);
  }

  /** `stop` and `start`. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Freezes the process: connections stay open, and from its return on nothing answers. Throws while the server is down. */
  pause(): void {
    this.#signal('SIGSTOP');
    if (this.pid !== undefined) untilFrozen(this.pid);
  }

  /** Lets a paused server go on. Throws while the server is down. */
  resume(): void {
    this.#signal('SIGCONT');
  }

  /** Kills it and removes its files, unless they are to be kept: the end of it. */
  async remove(): Promise<void> {
    servers.delete(this);
    await this.kill();
    if (!this.#settings.keepDir) await rm(this.#settings.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The last lines of its log. */
  log(lines = 40): string {
    return lastLines(this.logFile, lines);
  }

  #spawn(): void {
    const { program, args } = this.#settings;
    mkdirSync(this.tmpdir, { recursive: true });
    const pidFile = runFolder().pidFile(this.#settings.name);
    const log = openSync(this.logFile, 'a');
    const own = serverArguments(versionNumber(program.version), this);
    const [shell = '', ...rest] = withPidFile(
      [...program.command, '--no-defaults', ...program.args, ...own, ...args],
      pidFile,
    );
    // a session of its own keeps Ctrl-C from it; the parent's id lets CLONE and RESTART count on being started again
    const env = { ...process.env, ...program.env, MYSQLD_PARENT_PID: String(process.pid) };
    const child = spawn(shell, rest, { detached: true, stdio: ['ignore', log, log], env });
    closeSync(log);
    // a program that cannot be started at all ends the wait for a login; see #untilLogin
    child.on('error', () => {});
    child.unref();
    this.#child = child;
    this.#exited = once(child, 'exit').then(
      ([code]) => this.#afterExit(child, code, pidFile),
      () => {},
    );
  }

  async #afterExit(child: ChildProcess, code: number | null, pidFile: string): Promise<void> {
    await rm(pidFile, { force: true });
    if (code === RESTART_WANTED && this.#child === child && servers.has(this)) this.#spawn();
  }

  async #untilLogin(deadline: number): Promise<void> {
    let last: unknown;
    while (Date.now() < deadline) {
      if (!this.running) throw this.#failure('ended while starting', last);
      try {
        return await Promise.race([this.#login(Math.min(deadline - Date.now(), LOGIN_BOUND)), this.#earlyEnd()]);
      } catch (error) {
        last = error;
      }
      await sleep(LOGIN_PAUSE);
    }
    throw this.#failure(`did not answer within ${this.#settings.startTimeout} ms`, last);
  }

  /** A program that listens on the port in its place may keep a login waiting. */
  async #earlyEnd(): Promise<never> {
    await this.#exited;
    throw new Error('the process ended');
  }

  /** Another server may have taken the port: the one that answers must be ours. */
  async #login(timeout: number): Promise<void> {
    const connection = await this.connect({ connectTimeout: Math.max(timeout, 1) });
    try {
      const [[row]] = await connection.query<RowDataPacket[]>({
        sql: 'SELECT @@datadir AS datadir',
        timeout: Math.max(timeout, 1),
      });
      const [theirs, ours] = await Promise.all([realpath(String(row?.datadir)), realpath(this.datadir)]);
      if (theirs !== ours) throw new Error(`port ${this.port} belongs to the server of ${theirs}`);
    } finally {
      connection.destroy();
    }
  }

  #failure(what: string, cause: unknown): Error {
    // a server that gives up says why, and then at length how each of its plugins shuts down
    const lines = this.log(200)
      .split('\n')
      .filter(line => !line.includes('Shutting down plugin'));
    const end = lines.slice(-40).join('\n');
    return new Error(`MySQL ${this.version} on port ${this.port} ${what}. End of ${this.logFile}:\n${end}`, { cause });
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL', timeout: number): Promise<void> {
    // one that has just ended may be on its way back, after RESTART
    if (!this.running) await this.#exited;
    const child = this.#child;
    if (child === undefined || !this.running) return;
    child.kill(signal);
    // a stopped process takes no signal but these two
    child.kill('SIGCONT');
    // the timer also keeps the event loop alive, for the child itself does not
    const timer = new AbortController();
    const late = sleep(timeout, 'late', { signal: timer.signal }).catch(() => 'ended');
    const outcome = await Promise.race([this.#exited, late]);
    timer.abort();
    if (outcome !== 'late') return;
    if (signal === 'SIGKILL') throw this.#failure(`was killed, but is still there after ${timeout} ms`, undefined);
    await this.#end('SIGKILL', timeout);
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.running) throw new Error(`MySQL ${this.version} on port ${this.port} is down`);
    this.#child?.kill(signal);
  }
}

/** Starts `count` servers with the same options at once; when one fails, the others are removed. */
export async function startMysqlds(
  count: number,
  options: Omit<MysqldOptions, 'port' | 'serverId' | 'dir'> = {},
): Promise<Mysqld[]> {
  const starts = await Promise.allSettled(Array.from({ length: count }, () => Mysqld.start(options)));
  const failed = starts.find(start => start.status === 'rejected');
  const running = starts.flatMap(start => (start.status === 'fulfilled' ? [start.value] : []));
  if (failed === undefined) return running;
  await Promise.all(running.map(server => server.remove()));
  throw failed.reason;
}
