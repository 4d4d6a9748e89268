/** A small application: writers and readers on a pool that follows the group. It knows no server, only the Fabric node. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createPool,
  type ErrorFacts,
  type FabricPool,
  type FabricPoolOptions,
  MODE_READONLY,
  type RowDataPacket,
} from 'mysql2-fabric/promise';
import { Journal } from './journal.js';
import { ReadTally } from './read-shares.js';

const WRITERS = 6;
const READERS = 8;
/** ms that a writer or reader rests after each statement. */
const REST = 5;

export class Application {
  readonly journal = new Journal();
  readonly reads = new ReadTally();
  readonly #writing: FabricPool;
  readonly #reading: FabricPool;
  #ending = false;
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: FabricPoolOptions) {
    this.#writing = createPool(options);
    this.#reading = createPool({ ...options, mode: MODE_READONLY });
  }

  async start(): Promise<void> {
    await this.#writing.query('CREATE TABLE writes (writer INT, n INT, PRIMARY KEY (writer, n))');
    this.#work = Promise.all([
      ...Array.from({ length: WRITERS }, (_, index) => this.#write(index + 1)),
      ...Array.from({ length: READERS }, (_, index) => this.#read((index % WRITERS) + 1)),
    ]);
  }

  /** What is under way gets two seconds. */
  async stop(): Promise<void> {
    this.#ending = true;
    await Promise.race([this.#work, sleep(2_000, undefined, { ref: false })]);
    await Promise.all([this.#writing.end(), this.#reading.end()]);
  }

  /** A write that failed is not sent again, for it may be there: the writer goes on with a new id. */
  async #write(writer: number): Promise<void> {
    for (let n = 1; !this.#ending; n += 1) {
      const id = `${writer}/${n}`;
      const sentAt = performance.now();
      try {
        await this.#writing.query('INSERT INTO writes VALUES (?, ?)', [writer, n]);
        this.journal.acknowledged.push({ id, sentAt, at: performance.now() });
      } catch (error) {
        const outcome = this.#failed('write', error);
        if (outcome === 'in-doubt') this.journal.inDoubt.push({ id, sentAt, at: performance.now() });
      }
      await sleep(REST);
    }
  }

  async #read(writer: number): Promise<void> {
    while (!this.#ending) {
      try {
        const [rows] = await this.#reading.query<RowDataPacket[]>(
          'SELECT @@port AS port, MAX(n) AS newest FROM writes WHERE writer = ?',
          [writer],
        );
        this.reads.count(Number(rows[0]?.port));
      } catch (error) {
        this.#failed('read', error);
      }
      await sleep(REST);
    }
  }

  #failed(of: 'write' | 'read', error: unknown): string {
    const { fabric, code } = error as { fabric?: ErrorFacts; code?: string };
    const outcome = fabric?.outcome ?? 'unknown';
    const text = `${code ?? 'error'}: ${error instanceof Error ? error.message : String(error)}`;
    this.journal.failures.push({ at: performance.now(), of, outcome, text });
    return outcome;
  }
}
