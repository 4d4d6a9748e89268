/** What the demo runs on: three real MySQL servers, and a Fabric node in this process that keeps them as one group. */
import { type CallResult, createFabric, type Fabric } from 'mysql2-fabric/fabric';
import type { FabricPoolOptions } from 'mysql2-fabric/promise';
import { APP_DATABASE, accounts, Mysqld, startMysqlds } from 'mysql2-fabric/testing';

const GROUP = 'demo';
const NODE_ACCOUNT = { user: 'admin', password: 'demo' } as const;
/** The clone plugin gives a server that cannot be repaired a copy of another's data. */
const SERVER_OPTIONS = { version: '9.7', semiSync: true, options: ['plugin-load-add=mysql_clone.so'] } as const;
/** All different, so that whoever the secondaries are, their reads show the weights. */
const WEIGHTS: readonly number[] = [0.25, 1, 0.5];

/** A server, and what the group has it down for. */
export interface Member {
  readonly name: string;
  readonly server: Mysqld;
  readonly uuid: string;
  readonly status: string;
  readonly mode: string;
  readonly weight: number;
}

/** A sentence of the node's, and when it was said (`performance.now()`). */
export interface Sentence {
  readonly at: number;
  readonly text: string;
}

/** The first server alone: fetching MySQL, where there is none, takes as long as the network does. */
export async function startFirstServer(): Promise<Mysqld> {
  return await Mysqld.start(SERVER_OPTIONS);
}

export class Cluster {
  readonly #servers: readonly Mysqld[];
  readonly #fabric: Fabric;
  readonly #sentences: readonly Sentence[];

  private constructor(servers: readonly Mysqld[], fabric: Fabric, sentences: readonly Sentence[]) {
    this.#servers = servers;
    this.#fabric = fabric;
    this.#sentences = sentences;
  }

  /** @param onSentence hears what the node decides and why. */
  static async start(first: Mysqld, onSentence: (sentence: Sentence) => void): Promise<Cluster> {
    const servers = [first, ...(await startMysqlds(WEIGHTS.length - 1, SERVER_OPTIONS))];
    const named = await nameServers(servers);
    const sentences: Sentence[] = [];
    const hear = (text: string): void => {
      const sentence = { at: performance.now(), text: named(text) };
      sentences.push(sentence);
      onSentence(sentence);
    };
    const fabric = createFabric({
      servers: accounts.fabric,
      protocol: { xmlrpc: { address: '127.0.0.1:0', ...NODE_ACCOUNT } },
      log: { debug() {}, info: hear, warn: hear, error: hear },
    });
    await fabric.start();
    return new Cluster(servers, fabric, sentences);
  }

  /** The group: the first server takes the writes, the others share the reads by weight, and the failure detector watches all. */
  async form(): Promise<void> {
    await this.call('group.create', GROUP);
    for (const [index, server] of this.#servers.entries()) {
      await this.call('group.add', GROUP, server.address);
      await this.call('server.set_weight', server.address, WEIGHTS[index]);
    }
    await this.call('group.promote', GROUP, this.#servers[0]?.address);
    await this.call('group.activate', GROUP);
  }

  get servers(): readonly { readonly name: string; readonly server: Mysqld }[] {
    return this.#servers.map((server, index) => ({ name: nameOf(index), server }));
  }

  call(command: string, ...args: unknown[]): Promise<CallResult> {
    return this.#fabric.call(command, ...args);
  }

  promote(server: Mysqld): Promise<CallResult> {
    return this.call('group.promote', GROUP, server.address);
  }

  health(): Promise<CallResult> {
    return this.call('group.health', GROUP);
  }

  /** The group as the node has it now. */
  async members(): Promise<readonly Member[]> {
    const { rows } = await this.call('group.lookup_servers', GROUP);
    return this.servers.flatMap(({ name, server }) => {
      const row = rows.find(({ address }) => address === server.address);
      if (row === undefined) return [];
      const { server_uuid: uuid, status, mode, weight } = row;
      return {
        name,
        server,
        uuid: String(uuid),
        status: String(status),
        mode: String(mode),
        weight: Number(weight),
      };
    });
  }

  /** Undefined while there is none. */
  async primary(): Promise<Member | undefined> {
    return (await this.members()).find(({ status }) => status === 'PRIMARY');
  }

  /** @throws Error when there is none. */
  async requirePrimary(): Promise<Member> {
    const primary = await this.primary();
    if (primary === undefined) throw new Error('The group has no primary.');
    return primary;
  }

  /** Whether the node has said a sentence with these words since that moment. */
  saidSince(moment: number, ...words: readonly string[]): boolean {
    return this.#sentences.some(({ at, text }) => at >= moment && words.every(word => text.includes(word)));
  }

  /** For `createPool`. */
  get clientOptions(): FabricPoolOptions {
    return {
      fabric: { ...this.#fabric.address.xmlrpc, ...NODE_ACCOUNT },
      ...accounts.app,
      database: APP_DATABASE,
      group: GROUP,
    };
  }

  async stop(): Promise<void> {
    await this.#fabric.stop();
  }
}

function nameOf(index: number): string {
  return `db${index + 1}`;
}

/** The node speaks of uuids, people of names: what makes these of those in a text. */
async function nameServers(servers: readonly Mysqld[]): Promise<(text: string) => string> {
  const rows = await Promise.all(servers.map(server => server.query('SELECT @@server_uuid AS uuid')));
  const uuids = rows.map(([row]) => String(row?.uuid));
  return text => uuids.reduce((named, uuid, index) => named.replaceAll(uuid, nameOf(index)), text);
}
