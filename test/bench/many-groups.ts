import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeManyGroups } from '../fakes/many-groups.js';

/** A node with ten thousand groups of three servers in SQLite: what it takes to start and to answer. */

export interface ManyGroupsFigures {
  readonly groups: number;
  readonly startMs: number;
  /** `dump.servers` of one group, in the node's process: median and 99th percentile. */
  readonly dumpMs: readonly [number, number];
  /** A change of one server, stored durably, and the `dump.servers` after it. */
  readonly changeMs: readonly [number, number];
  /** Of the process, and what it was before the node started. */
  readonly megabytes: number;
  readonly megabytesBefore: number;
}

const GROUPS = 10_000;

export async function benchManyGroups(): Promise<ManyGroupsFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'many-'));
  try {
    const file = join(folder, 'fabric.sqlite');
    await writeManyGroups(file, GROUPS);
    const child = fork(fileURLToPath(new URL('./many-groups-process.ts', import.meta.url)), [file]);
    const [figures] = (await once(child, 'message')) as [Omit<ManyGroupsFigures, 'groups'>];
    child.kill();
    return { groups: GROUPS, ...figures };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
