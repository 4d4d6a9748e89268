import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import { holderOf, setupStorage, teardownStorage } from '../../../src/fabric/store/create.js';
import { createSqliteStore } from '../../../src/fabric/store/sqlite.js';
import { createFabric, type FabricNodeOptions } from '../../../src/fabric.js';

const folder = mkdtempSync(join(tmpdir(), 'storage-'));
const file = join(folder, 'fabric.sqlite');
afterAll(() => rmSync(folder, { recursive: true }));

const given = (storage: FabricNodeOptions['storage']): FabricNodeOptions => ({
  servers: { password: 'p' },
  protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
  ...(storage && { storage }),
});
const storageOf = (storage: FabricNodeOptions['storage']) => parseFabricOptions(given(storage)).storage;

const setup = (storage: FabricNodeOptions['storage']) =>
  setupStorage(parseFabricOptions(given(storage)), () => Promise.reject(new Error('nothing to ask for')));

/** What a node that is started finds. */
async function groupsFound(storage: FabricNodeOptions['storage'], create?: string): Promise<unknown[]> {
  const fabric = createFabric(given(storage));
  await fabric.start();
  try {
    if (create !== undefined) await fabric.call('group.create', create);
    return (await fabric.call('group.lookup_groups')).rows.map(row => row.group_id);
  } finally {
    await fabric.stop();
  }
}

test('a node with a file finds its groups again, until the state is torn down', async () => {
  const sqlite = { type: 'sqlite', file } as const;
  expect(await groupsFound(sqlite, 'one')).toEqual(['one']);
  await setup(sqlite);
  expect(await groupsFound(sqlite, 'two')).toEqual(['one', 'two']);
  await teardownStorage(storageOf(sqlite));
  expect(await groupsFound(sqlite)).toEqual([]);
});

test('the state of a node that runs is not torn down, and where there is none no file is made', async () => {
  const sqlite = { type: 'sqlite', file: join(folder, 'used', 'fabric.sqlite') } as const;
  expect(await teardownStorage(storageOf(sqlite))).toBe(false);
  expect(existsSync(join(folder, 'used'))).toBe(false);
  const fabric = createFabric(given(sqlite));
  await fabric.start();
  await fabric.call('group.create', 'kept');
  await expect(teardownStorage(storageOf(sqlite))).rejects.toThrow('Another node uses the state store');
  expect((await fabric.call('group.lookup_groups')).rows).toHaveLength(1);
  await fabric.stop();
  expect(await groupsFound(sqlite)).toEqual(['kept']);
  expect(await teardownStorage(storageOf(sqlite))).toBe(true);
});

test('which node works on it is told, or refused where that cannot be known', async () => {
  const sqlite = { type: 'sqlite', file: join(folder, 'held', 'fabric.sqlite') } as const;
  const holder = () => holderOf(storageOf(sqlite), AbortSignal.timeout(2_000));
  expect(await holder()).toBeNull();
  const fabric = createFabric(given(sqlite));
  await fabric.start();
  expect(await holder()).toBe('a node');
  await fabric.stop();
  expect(await holder()).toBeNull();
  rmSync(`${sqlite.file}-node`);
  mkdirSync(`${sqlite.file}-node`);
  await expect(holder()).rejects.toThrow();
  const mysql = storageOf({ type: 'mysql', address: '127.0.0.1:1', password: 'p' });
  await expect(holderOf(mysql, AbortSignal.timeout(2_000))).rejects.toThrow();
});

test('a node without storage forgets', async () => {
  expect(await groupsFound(undefined, 'one')).toEqual(['one']);
  await setup(undefined);
  await teardownStorage(storageOf(undefined));
  expect(await groupsFound(undefined)).toEqual([]);
});

test('a node ends what a killed one left, before it serves', async () => {
  const store = createSqliteStore({ file });
  await store.open();
  const run = { uuid: 'left', procedure: 'group.promote', group: 'gone', step: 0, finished: false, error: null };
  await store.saveRun({ ...run, data: '{"group":"gone","kind":"undecided"}', events: [] });
  await store.close();
  await groupsFound({ type: 'sqlite', file });
  await store.open();
  expect(await store.unfinishedRuns()).toEqual([]);
  expect((await store.run('left'))?.error).toBe('GroupError: Group (gone) does not exist.');
  await store.close();
});

test('a node that cannot open its state does not start, and says why', async () => {
  const fabric = createFabric(given({ type: 'sqlite', file: folder }));
  await expect(fabric.start()).rejects.toThrow();
  const mysql = { type: 'mysql', address: '127.0.0.1:1', password: 'secret-word' } as const;
  const unreachable = createFabric(given({ ...mysql, connectionAttempts: 2, connectionDelay: 0 }));
  await expect(unreachable.start()).rejects.toThrow(/^The state store 127\.0\.0\.1:1 cannot be reached: (?!.*secret)/);
});
