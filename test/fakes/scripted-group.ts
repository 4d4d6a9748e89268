import { createPool, type ErrorFacts, type FabricPool, type FabricPoolOptions } from '../../src/index.js';
import { type Answer, type ScriptedMysql, startScriptedMysql } from './scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from './scripted-node.js';

/** A primary, two secondaries and a node that do what a test says, and the pools that the test makes over them. */

export type Failure = Error & { code?: string; errno?: number; fabric?: ErrorFacts };

export class ScriptedGroup {
  readonly #pools: FabricPool[] = [];
  readonly #held: Answer[] = [];

  private constructor(
    readonly node: ScriptedNode,
    readonly primary: ScriptedMysql,
    readonly secondaries: readonly [ScriptedMysql, ScriptedMysql],
  ) {
    for (const mysql of this.all) {
      // What says 'hang' is answered when the test says so.
      mysql.script = (sql, answer) => (sql.includes('hang') ? void this.#held.push(answer) : answer.ok());
    }
  }

  static async start(): Promise<ScriptedGroup> {
    const [node, primary, one, two] = await Promise.all([
      startScriptedNode(),
      startScriptedMysql(),
      startScriptedMysql(),
      startScriptedMysql(),
    ]);
    const group = new ScriptedGroup(node, primary, [one, two]);
    group.lead(primary);
    return group;
  }

  get all(): readonly ScriptedMysql[] {
    return [this.primary, ...this.secondaries];
  }

  /** That server is the primary, `members` but for it are secondaries, and the others have left. */
  lead(leader: ScriptedMysql, members: readonly ScriptedMysql[] = this.all): void {
    this.node.servers = members.map(({ port }) =>
      port === leader.port ? aServer(port) : aServer(port, { status: 2, mode: 1 }),
    );
  }

  create(options: Partial<FabricPoolOptions> = {}): FabricPool {
    const fabric = { host: '127.0.0.1', port: this.node.port };
    const pool = createPool({ fabric, user: 'u', group: 'g', ttl: 0.05, ...options });
    this.#pools.push(pool);
    return pool;
  }

  /** Statements 'hang' that have come. */
  get hanging(): number {
    return this.#held.length;
  }

  /** Answers all statements that hang. */
  release(): void {
    for (const answer of this.#held.splice(0)) answer.ok();
  }

  async stop(): Promise<void> {
    this.release();
    await Promise.all(this.#pools.map(pool => pool.promise().end()));
    await Promise.all([this.node, ...this.all].map(part => part.close()));
  }
}

export function failureOf(work: Promise<unknown>): Promise<Failure> {
  return work.then(
    () => new Error('it succeeded'),
    (error: Failure) => error,
  );
}

/** Asks until it says yes. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 8_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
