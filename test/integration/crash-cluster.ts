import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import type { ReplicaStatus } from '../../src/fabric/replication/replication.js';
import { createSqliteStore } from '../../src/fabric/store/sqlite.js';
import type { GroupRecord } from '../../src/fabric/store/store.js';
import { accounts, type Mysqld, startMysqlds } from '../../src/testing.js';
import { STATUS_FAULTY } from '../../src/wire/topology.js';
import { GROUP, until } from './ha-group.js';

/** Real servers, and a node in a process of its own that may be killed and started again. */

export type Call = readonly [name: string, ...args: unknown[]];

export interface Order {
  readonly call: Call;
  /** Which of the points that it passes it dies at, from 1; 0: none. */
  readonly crashAt: number;
  /** The point of this name fails, once; and the process with this id is killed then. */
  readonly failure?: { readonly label: string; readonly kills?: number | undefined } | undefined;
}

export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly error: string | null;
  /** The points that were passed. */
  readonly labels: readonly string[];
  readonly sentences: readonly string[];
  /** How long the node took to start. */
  readonly ms: number;
}

/** ms within which everything is in order again. */
const BOUND = 10_000;

const replication = createReplication(accounts.fabric);

export class CrashCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'crash-'));
  #node: ChildProcess | undefined;
  sentences: readonly string[] = [];
  #marker = 0;

  private constructor(readonly servers: readonly Mysqld[]) {}

  /** Group `g` of all servers but the last `spare` ones; the first is its primary. */
  static async start(count: number, spare: number): Promise<CrashCluster> {
    const cluster = new CrashCluster(await startMysqlds(count));
    await cluster.startNode();
    await cluster.do('group.create', GROUP);
    for (const { address } of cluster.servers.slice(0, count - spare)) await cluster.do('group.add', GROUP, address);
    await cluster.do('group.promote', GROUP);
    await (await cluster.primary()).query('CREATE TABLE app.markers (id INT PRIMARY KEY) ENGINE=InnoDB');
    return cluster;
  }

  get #file(): string {
    return join(this.#folder, 'fabric.sqlite');
  }

  /** Resolves to how long it took until it served, null: it died before. */
  async startNode(crashAt = 0): Promise<number | null> {
    const program = fileURLToPath(new URL('./crash-node.ts', import.meta.url));
    this.#node = fork(program, [this.#file, String(crashAt)], { execArgv: ['--import', 'tsx'] });
    return (await this.#answer())?.ms ?? null;
  }

  /** Undefined: the node died. */
  async #answer(): Promise<Answer | undefined> {
    const node = this.#node;
    if (!node) throw new Error('no node');
    const ending = new AbortController();
    const { signal } = ending;
    const answer = await Promise.race([
      once(node, 'message', { signal }).then(([message]) => message as Answer),
      once(node, 'exit', { signal }).then(([code]) => {
        if (code !== null) throw new Error(`the node ended with ${code}`);
        return undefined;
      }),
    ]).finally(() => ending.abort());
    if (answer) this.sentences = answer.sentences;
    return answer;
  }

  /** Undefined: the node died, as it was told to. */
  order(call: Call, crashAt = 0, failure?: Order['failure']): Promise<Answer | undefined> {
    this.#node?.send({ call, crashAt, failure } satisfies Order);
    return this.#answer();
  }

  async do(...call: Call): Promise<Answer> {
    const answer = await this.order(call);
    expect(answer?.error, this.sentences.join('\n')).toBeNull();
    return answer as Answer;
  }

  /** As it is on disk. */
  async stored(): Promise<GroupRecord> {
    const store = createSqliteStore({ file: this.#file });
    await store.open();
    try {
      // A run may be under way (the fence of a server that came back), but none stays so.
      await until(async () => (await store.unfinishedRuns()).length === 0);
      return (await store.group(GROUP)) as GroupRecord;
    } finally {
      await store.close();
    }
  }

  serverOf(port: number): Mysqld {
    return this.servers.find(server => server.port === port) as Mysqld;
  }

  async primary(): Promise<Mysqld> {
    const { primary, servers } = await this.stored();
    return this.serverOf(servers.find(({ uuid }) => uuid === primary)?.port ?? 0);
  }

  async secondary(): Promise<Mysqld> {
    const { servers } = await this.stored();
    return this.serverOf(servers.find(({ status }) => status === 2)?.port ?? 0);
  }

  /** An acknowledged write that a secondary has, too. */
  async mark(): Promise<void> {
    this.#marker += 1;
    await (await this.primary()).query('INSERT INTO app.markers VALUES (?)', [this.#marker]);
    for (const { status, port } of (await this.stored()).servers) {
      if (status === 2) await until(() => this.#has(this.serverOf(port)));
    }
  }

  async #has(server: Mysqld): Promise<boolean> {
    const [row] = await server.query('SELECT MAX(id) AS id FROM app.markers');
    return Number(row?.id) === this.#marker;
  }

  /**
   * One server accepts writes, the one that the store calls primary (or none of both), and has all that was acknowledged; all others of the
   * group that run are healthy and follow it.
   * @param wanted.primary false: it may be without a primary.
   * @param wanted.faulty how many may be FAULTY although they run.
   */
  async expectSound(wanted: { readonly primary?: boolean; readonly faulty?: number } = {}): Promise<void> {
    await until(async () =>
      (await this.stored()).servers.every(({ needsFencing, port }) => !needsFencing || !this.serverOf(port).running),
    );
    const { primary, servers } = await this.stored();
    const told = () => this.sentences.join('\n');
    const members = servers.map(record => ({ ...record, server: this.serverOf(record.port) }));
    const running = members.filter(({ server }) => server.running);
    const writable = await Promise.all(
      running.map(async member => ((await acceptsWrites(member.server)) ? member : [])),
    );
    expect(
      writable.flat().map(({ uuid }) => uuid),
      told(),
    ).toEqual(primary === null ? [] : [primary]);
    if (wanted.primary !== false) expect(primary, told()).not.toBeNull();
    const healthy = running.filter(({ status }) => status !== STATUS_FAULTY);
    expect(running.length - healthy.length, told()).toBeLessThanOrEqual(wanted.faulty ?? 0);
    if (primary === null) return;
    const source = members.find(({ uuid }) => uuid === primary);
    for (const { uuid, server } of healthy) {
      if (uuid !== primary) await until(async () => followsWell(await statusOf(server), source?.port), BOUND);
      await until(() => this.#has(server), BOUND);
    }
  }

  kill(): void {
    this.#node?.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.kill();
    await Promise.all(this.servers.map(server => server.remove()));
    rmSync(this.#folder, { recursive: true });
  }
}

function followsWell(status: ReplicaStatus | null, port: number | undefined): boolean {
  return status?.source.port === port && status?.ioThread === 'running' && status.sqlThread === 'running';
}

async function statusOf({ port }: Mysqld): Promise<ReplicaStatus | null> {
  const session = await replication.connect({ host: '127.0.0.1', port }, 2_000);
  try {
    return await session.replicaStatus();
  } finally {
    session.close();
  }
}

/** From an application: administrators may write anyway where there is no super_read_only. */
async function acceptsWrites(server: Mysqld): Promise<boolean> {
  const connection = await server.connect({ ...accounts.app, database: 'app', connectTimeout: 2_000 });
  try {
    await connection.query('CREATE TABLE IF NOT EXISTS probe (id INT PRIMARY KEY AUTO_INCREMENT)');
    await connection.query('INSERT INTO probe () VALUES ()');
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}
