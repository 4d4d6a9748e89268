import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { expect } from 'vitest';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import type { ReplicaStatus } from '../../src/fabric/replication/replication.js';
import { createSqliteStore } from '../../src/fabric/store/sqlite.js';
import type { GroupRecord, RunRecord, ServerRecord, Store } from '../../src/fabric/store/store.js';
import { accounts, type Mysqld, startMysqlds } from '../../src/testing.js';
import { STATUS_FAULTY, STATUS_PRIMARY, STATUS_SECONDARY } from '../../src/wire/topology.js';
import { type Answer, type Call, CrashProcess, type Order, type Plan } from './crash-process.js';
import { GROUP, until } from './ha-group.js';

/** Real servers, a node in a process of its own that may be killed and started again, and what must be so when it is back. */

/** ms within which everything is in order again. */
export const BOUND = 10_000;

/** ms after which a start is another one for sure: a server tells how long it runs in whole seconds. */
const OLDER = 3_200;

const replication = createReplication(accounts.fabric);

/** A server as the store knows it, and as it is. */
interface Member extends ServerRecord {
  readonly server: Mysqld;
}

export interface Wanted {
  /** false: the group may be without a primary, or have a FAULTY one that is fenced. */
  readonly primary?: boolean;
  /** How many servers may be FAULTY although they run. */
  readonly faulty?: number;
}

export class CrashCluster {
  readonly #node: CrashProcess;
  /** To look into, beside the node's. */
  readonly #store: Promise<Store>;
  readonly #clients = new Map<Mysqld, Connection>();
  /** P is the primary; S1, S2 are its secondaries, ordered by uuid; N is in no group. Others keep the name that they had. */
  #roles: Readonly<Record<number, string>> = {};
  sentences: readonly string[] = [];
  #marker = 0;

  private constructor(
    readonly servers: readonly Mysqld[],
    program: string,
    private readonly folder: string,
  ) {
    this.#node = new CrashProcess(program);
    const store = createSqliteStore({ file: this.#file });
    this.#store = store.open().then(() => store);
  }

  /** Group `g` of a primary and two secondaries, and one server besides. */
  static async start(program: string): Promise<CrashCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'crash-'));
    writeFileSync(startupOf(folder), '');
    const servers = await startMysqlds(4, { options: { 'init-file': startupOf(folder) } });
    const cluster = new CrashCluster(servers, program, folder);
    await cluster.startNode();
    await cluster.do('group.create', GROUP);
    for (const { address } of cluster.servers.slice(0, 3)) await cluster.do('group.add', GROUP, address);
    await cluster.do('group.promote', GROUP);
    await (await cluster.primary()).query('CREATE TABLE app.markers (id INT PRIMARY KEY) ENGINE=InnoDB');
    return cluster;
  }

  get #file(): string {
    return join(this.folder, 'fabric.sqlite');
  }

  /** Null: it died before it served. */
  async startNode(crashAt?: string): Promise<Answer | null> {
    return this.#heard(await this.#node.start(this.#file, this.#plan(crashAt))) ?? null;
  }

  /** Undefined: the node died, as it was told to. */
  async order(order: Omit<Order, 'plan'>, crashAt?: string, failure?: Plan['failure']): Promise<Answer | undefined> {
    return this.#heard(await this.#node.order({ ...order, plan: { ...this.#plan(crashAt), failure } }));
  }

  #plan(crashAt: string | undefined): Plan {
    return { roles: this.#roles, crashAt };
  }

  #heard(answer: Answer | undefined): Answer | undefined {
    if (answer) this.sentences = answer.sentences;
    return answer;
  }

  async do(...call: Call): Promise<Answer> {
    const answer = await this.order({ call });
    expect(answer?.error, this.sentences.join('\n')).toBeNull();
    return answer as Answer;
  }

  /** As it is on disk. */
  async stored(): Promise<GroupRecord> {
    // A run may be under way (the fence of a server that came back), but none stays so.
    await until(async () => (await this.unfinished()).length === 0);
    return (await (await this.#store).group(GROUP)) as GroupRecord;
  }

  /** What a node left behind that was killed. */
  async unfinished(): Promise<readonly RunRecord[]> {
    return (await this.#store).unfinishedRuns();
  }

  async run(uuid: string): Promise<RunRecord | undefined> {
    return (await this.#store).run(uuid);
  }

  serverOf(port: number): Mysqld {
    return this.servers.find(server => server.port === port) as Mysqld;
  }

  async primary(): Promise<Mysqld> {
    const { primary, servers } = await this.stored();
    return this.serverOf(servers.find(({ uuid }) => uuid === primary)?.port ?? 0);
  }

  /** The server that had this role when the case began. */
  role(name: 'P' | 'S1' | 'S2' | 'N'): Mysqld {
    const found = Object.keys(this.#roles).find(port => this.#roles[Number(port)] === name);
    return this.serverOf(Number(found));
  }

  /** How servers start from now on. */
  startReadOnly(readOnly: boolean): void {
    writeFileSync(startupOf(this.folder), readOnly ? 'SET GLOBAL read_only = ON;\n' : '');
  }

  /** Ends as in a power cut and is back at once; later than anything that it was before, as far as its own clock tells. */
  async crash(server: Mysqld): Promise<void> {
    await sleep(OLDER);
    await server.kill();
    await server.start();
  }

  /** A case begins: the group is whole, every server has a client, and an acknowledged write has reached everybody. */
  async begin(): Promise<void> {
    const { primary, servers } = await this.stored();
    expect(servers.map(({ status }) => status).sort()).toEqual([STATUS_SECONDARY, STATUS_SECONDARY, STATUS_PRIMARY]);
    const secondaries = servers.filter(({ uuid }) => uuid !== primary);
    const port = (record: ServerRecord | undefined) => record?.port ?? 0;
    this.#roles = {
      [port(servers.find(({ uuid }) => uuid === primary))]: 'P',
      [port(secondaries[0])]: 'S1',
      [port(secondaries[1])]: 'S2',
      [this.servers.find(server => !servers.some(record => record.port === server.port))?.port ?? 0]: 'N',
    };
    this.#marker += 1;
    await this.role('P').query('INSERT INTO app.markers VALUES (?)', [this.#marker]);
    await Promise.all([this.role('S1'), this.role('S2')].map(server => until(() => this.#has(server))));
    await Promise.all(this.servers.map(server => this.#useBy(server)));
  }

  async #useBy(server: Mysqld): Promise<void> {
    this.#clients.get(server)?.destroy();
    const client = await server.connect({ ...accounts.app, database: 'app' });
    client.on('error', () => {});
    this.#clients.set(server, client);
  }

  async #has(server: Mysqld): Promise<boolean> {
    // The table itself may not have come yet.
    const [row] = await server.query('SELECT MAX(id) AS id FROM app.markers').catch(() => []);
    return Number(row?.id) === this.#marker;
  }

  /**
   * One server accepts writes, the one that the store calls primary (or none of both), and has all that was acknowledged; all others of the
   * group that run are healthy and follow it.
   */
  async expectSound(wanted: Wanted = {}): Promise<void> {
    const told = () => this.sentences.join('\n');
    await until(() => this.#inPlace(), BOUND).catch(error => {
      throw new Error(`one writes that should not, or the other way round: ${error}\n${told()}`);
    });
    const { primary, servers } = await this.stored();
    const running = this.#running(servers);
    const writable = await Promise.all(running.map(async one => ((await acceptsWrites(one.server)) ? [one.uuid] : [])));
    const source = servers.find(({ uuid }) => uuid === primary);
    const lacking = source === undefined || source.status === STATUS_FAULTY;
    expect(writable.flat(), told()).toEqual(lacking ? [] : [primary]);
    if (wanted.primary !== false) expect(lacking, told()).toBe(false);
    const healthy = running.filter(({ status }) => status !== STATUS_FAULTY);
    expect(running.length - healthy.length, told()).toBeLessThanOrEqual(wanted.faulty ?? 0);
    if (lacking) return;
    await Promise.all(
      healthy.map(async ({ uuid, server }) => {
        if (uuid !== primary) await until(async () => followsWell(await statusOf(server), source.port), BOUND);
        await until(() => this.#has(server), BOUND);
      }),
    );
  }

  #running(servers: readonly ServerRecord[]): Member[] {
    return servers.map(one => ({ ...one, server: this.serverOf(one.port) })).filter(({ server }) => server.running);
  }

  /** Looks before an application would write: a server that was forgotten would get transactions of its own. */
  async #inPlace(): Promise<boolean> {
    const { primary, servers } = await this.stored();
    const right = await Promise.all(
      this.#running(servers).map(async ({ uuid, status, server, needsFencing }) => {
        const [row] = await server.query('SELECT @@GLOBAL.read_only AS fenced').catch(() => []);
        const fenced = uuid !== primary || status === STATUS_FAULTY;
        return !needsFencing && Number(row?.fenced) === Number(fenced);
      }),
    );
    return right.every(Boolean);
  }

  async stop(): Promise<void> {
    this.#node.stop();
    await (await this.#store).close();
    for (const client of this.#clients.values()) client.destroy();
    await Promise.all(this.servers.map(server => server.remove()));
    rmSync(this.folder, { recursive: true });
  }
}

const startupOf = (folder: string) => join(folder, 'startup.sql');

function followsWell(status: ReplicaStatus | null, port: number): boolean {
  return status?.source.port === port && status.ioThread === 'running' && status.sqlThread === 'running';
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
