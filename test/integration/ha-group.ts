import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { expect } from 'vitest';
import type { Context } from '../../src/fabric/context.js';
import { createDetector, type Detector } from '../../src/fabric/detector.js';
import { parseFabricOptions } from '../../src/fabric/options.js';
import { addServer } from '../../src/fabric/procedures/membership.js';
import { promote } from '../../src/fabric/procedures/promote.js';
import type { Procedure } from '../../src/fabric/procedures/run.js';
import { createRunner, type Runner } from '../../src/fabric/procedures/runner.js';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import type { Replication } from '../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../src/fabric/store/memory.js';
import type { GroupRecord, RunRecord, ServerRecord } from '../../src/fabric/store/store.js';
import { accounts, type Mysqld } from '../../src/testing.js';
import { STATUS_NAMES } from '../../src/wire/topology.js';

/** A group of real servers with the node's inner parts, without its endpoints. */

export { intercept } from './intercept.js';

export const GROUP = 'g';

type FailureTracking = NonNullable<Parameters<typeof parseFabricOptions>[0]['failureTracking']>;

export interface HaSettings {
  readonly failureTracking?: FailureTracking;
  /** Puts itself between the node and the servers. */
  readonly wrap?: (replication: Replication) => Replication;
}

export class HaGroup {
  readonly sentences: string[] = [];
  readonly context: Context;
  readonly runner: Runner;
  readonly #uuids = new Map<Mysqld, string>();
  #detector: Detector | undefined;
  readonly #writers: Writer[] = [];

  constructor(
    readonly servers: readonly Mysqld[],
    settings: HaSettings = {},
  ) {
    const say = (level: string) => (sentence: string) => {
      this.sentences.push(`${level}: ${sentence}`);
    };
    const { user, password } = accounts.fabric;
    const real = createReplication({ user, password });
    this.context = {
      options: parseFabricOptions({
        servers: { user, password },
        protocol: { xmlrpc: { password: 'secret' } },
        ...(settings.failureTracking ? { failureTracking: settings.failureTracking } : {}),
      }),
      store: createMemoryStore(),
      replication: settings.wrap ? settings.wrap(real) : real,
      log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
      now: Date.now,
    };
    this.runner = createRunner(this.context);
  }

  /** Blank servers, a new group of all of them, and the first one its primary. */
  async form(): Promise<void> {
    await Promise.all(this.servers.map(server => this.#blank(server)));
    const empty = { active: false, primary: null, primarySince: null, baseline: null, servers: [] };
    await this.context.store.createGroup({ id: GROUP, description: null, ...empty });
    for (const server of this.servers)
      await this.do(addServer({ group: GROUP, address: server, timeout: 5, updateOnly: false }));
    const [first] = this.servers;
    if (first) await this.do(promote({ group: GROUP, candidate: this.uuid(first), updateOnly: false }));
  }

  async #blank(server: Mysqld): Promise<void> {
    if (server.running) server.resume();
    await server.start();
    await server.reset();
    const [row] = await server.query('SELECT @@server_uuid AS uuid');
    this.#uuids.set(server, String(row?.uuid));
  }

  uuid(server: Mysqld): string {
    return this.#uuids.get(server) ?? '';
  }

  serverOf(uuid: string | null): Mysqld {
    const found = this.servers.find(server => this.uuid(server) === uuid);
    if (!found) throw new Error(`no server ${uuid}`);
    return found;
  }

  /** The run of a procedure that must succeed. */
  async do(procedure: Procedure): Promise<RunRecord> {
    const record = await this.runner.run(procedure).done;
    expect(record.error, this.sentences.join('\n')).toBeNull();
    return record;
  }

  /** The error of a procedure that must fail. */
  async refuse(procedure: Procedure): Promise<string> {
    const record = await this.runner.run(procedure).done;
    expect(record.error, this.sentences.join('\n')).not.toBeNull();
    return record.error ?? '';
  }

  async group(): Promise<GroupRecord> {
    const group = await this.context.store.group(GROUP);
    if (!group) throw new Error('no group');
    return group;
  }

  async record(server: Mysqld): Promise<ServerRecord> {
    const found = (await this.group()).servers.find(({ uuid }) => uuid === this.uuid(server));
    if (!found) throw new Error(`no record of ${server.address}`);
    return found;
  }

  /** Status names in the order of `servers`. */
  async statuses(): Promise<string[]> {
    return Promise.all(this.servers.map(async server => STATUS_NAMES[(await this.record(server)).status]));
  }

  async change(server: Mysqld, change: Partial<ServerRecord>): Promise<void> {
    const group = await this.group();
    const servers = group.servers.map(record =>
      record.uuid === this.uuid(server) ? { ...record, ...change } : record,
    );
    await this.context.store.saveGroup({ ...group, servers });
  }

  watch(): void {
    this.#detector ??= createDetector(this.context, this.runner);
    this.#detector.start();
    this.#detector.watch(GROUP);
  }

  /** As if the node were gone. */
  async unwatched(): Promise<void> {
    await this.#detector?.stop();
    this.#detector = undefined;
  }

  get detector(): Detector {
    if (!this.#detector) throw new Error('watch first');
    return this.#detector;
  }

  /** Servers that let an ordinary application write now. */
  async writable(): Promise<Mysqld[]> {
    const answers = await Promise.all(this.servers.map(server => acceptsWrites(server)));
    return this.servers.filter((_, index) => answers[index]);
  }

  /** Invariants 1 and 3: exactly one server accepts writes, and it is the one that the store names. */
  async expectOnePrimary(): Promise<Mysqld> {
    const writable = await this.writable();
    const { primary } = await this.group();
    expect(
      writable.map(server => this.uuid(server)),
      this.sentences.join('\n'),
    ).toEqual([primary]);
    return this.serverOf(primary);
  }

  writer(): Writer {
    const writer = new Writer(this);
    this.#writers.push(writer);
    return writer;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#writers.map(writer => writer.stop()));
    await this.#detector?.stop();
    await this.runner.stop(5_000);
  }
}

async function acceptsWrites(server: Mysqld): Promise<boolean> {
  if (!server.running) return false;
  try {
    const connection = await server.connect({ ...accounts.app, database: 'app', connectTimeout: 1_000 });
    try {
      await connection.query('CREATE TABLE IF NOT EXISTS probe (id INT PRIMARY KEY AUTO_INCREMENT)');
      await connection.query('INSERT INTO probe () VALUES ()');
      return true;
    } finally {
      connection.destroy();
    }
  } catch {
    return false;
  }
}

/** An application that writes to the primary the store names, and remembers what was acknowledged. */
export class Writer {
  readonly acknowledged: number[] = [];
  /** When each acknowledgement came, by performance.now(). */
  readonly at: number[] = [];
  #next = 1;
  #going = true;
  #work: Promise<void> = Promise.resolve();
  #connection: Connection | undefined;

  constructor(readonly ha: HaGroup) {}

  async start(): Promise<void> {
    const primary = this.ha.serverOf((await this.ha.group()).primary);
    await primary.query('CREATE TABLE IF NOT EXISTS app.written (id INT PRIMARY KEY) ENGINE=InnoDB');
    this.#work = this.#loop();
  }

  async #loop(): Promise<void> {
    while (this.#going) {
      const id = this.#next;
      this.#next += 1;
      try {
        const connection = await this.#toPrimary();
        await connection.query('INSERT INTO written VALUES (?)', [id]);
        this.acknowledged.push(id);
        this.at.push(performance.now());
      } catch {
        this.#drop();
        await sleep(2);
      }
    }
    this.#drop();
  }

  async #toPrimary(): Promise<Connection> {
    const { primary } = await this.ha.group();
    const server = this.ha.serverOf(primary);
    if (this.#connection?.config.port === server.port) return this.#connection;
    this.#drop();
    const connection = await server.connect({ ...accounts.app, database: 'app', connectTimeout: 500 });
    connection.on('error', () => {});
    this.#connection = connection;
    return connection;
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  /** The longest time between two acknowledgements. */
  get longestPause(): number {
    return Math.round(Math.max(0, ...this.at.slice(1).map((time, index) => time - (this.at[index] ?? time))));
  }

  async stop(): Promise<void> {
    this.#going = false;
    const late = setTimeout(() => this.#drop(), 500);
    await this.#work;
    clearTimeout(late);
  }

  /** What was acknowledged and is not on that server. */
  async lostOn(server: Mysqld): Promise<number[]> {
    const rows = await server.query('SELECT id FROM app.written');
    const there = new Set(rows.map(row => Number(row.id)));
    return this.acknowledged.filter(id => !there.has(id));
  }
}

/** The first result of `look` that is not undefined or false. */
export async function until<T>(look: () => Promise<T | undefined | false>, bound = 20_000): Promise<T> {
  for (const deadline = performance.now() + bound; ; await sleep(5)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`it did not happen within ${bound} ms`);
  }
}
