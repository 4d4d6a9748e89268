import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { dropTables, migrate } from '../../src/fabric/store/schema.js';
import { createSqliteDatabase, createSqliteStore } from '../../src/fabric/store/sqlite.js';
import { durableStoreContract, storeContract } from './store.contract.js';

const folder = mkdtempSync(join(tmpdir(), 'store-'));
let files = 0;
const file = () => join(folder, 'made when missing', `${files}.sqlite`);
afterAll(() => rmSync(folder, { recursive: true }));

const blank = async () => {
  files += 1;
  return createSqliteStore({ file: file() });
};
storeContract('sqlite', blank);
durableStoreContract('sqlite', blank, async () => createSqliteStore({ file: file() }));

it('sqlite refuses tables that a newer program has made', async () => {
  const store = await blank();
  await store.open();
  await store.close();
  const database = createSqliteDatabase({ file: file() });
  await database.open();
  await database.alter(async session => {
    await session.execute('INSERT INTO fabric_schema (version) VALUES (1000)');
  });
  await database.close();
  await expect(store.open()).rejects.toThrow('schema version 1000');
  await store.close();
});

it('sqlite brings the tables of an older program up to date', async () => {
  const store = await blank();
  await store.open();
  const empty = { description: null, active: false, primary: null, primarySince: null, baseline: null };
  const old = { uuid: 'u', host: 'h', port: 1, status: 2, mode: 1, weight: 1, needsFencing: false } as const;
  await store.createGroup({ id: 'g', ...empty, servers: [{ ...old, byHand: true }] });
  await store.close();
  const database = createSqliteDatabase({ file: file() });
  await database.open();
  await database.alter(async session => {
    await session.execute('ALTER TABLE fabric_servers DROP COLUMN by_hand');
    await session.execute('DELETE FROM fabric_schema WHERE version = 5');
  });
  await database.close();
  const newer = createSqliteStore({ file: file() });
  await newer.open();
  expect((await newer.group('g'))?.servers).toEqual([{ ...old, byHand: false }]);
  await newer.close();
});

it('sqlite notices that its tables were emptied', async () => {
  const store = await blank();
  await store.open();
  const empty = { description: null, active: false, primary: null, primarySince: null, baseline: null, servers: [] };
  for (const id of ['a', 'b']) await store.createGroup({ id, ...empty });
  const database = createSqliteDatabase({ file: file() });
  await database.open();
  await database.alter(dropTables);
  await database.alter(session => migrate(session, database.dialect));
  await database.close();
  expect(await store.groups()).toEqual([]);
  await store.createGroup({ id: 'a', ...empty });
  expect((await store.groups()).map(({ id }) => id)).toEqual(['a']);
  await store.close();
});

it('sqlite says what was wrong when it has taken the transaction back by itself', async () => {
  files += 1;
  const database = createSqliteDatabase({ file: file() });
  await database.open();
  await database.alter(session => session.execute('CREATE TABLE t (a TEXT)').then(() => {}));
  await database.look(session => session.query('PRAGMA max_page_count = 5'));
  const insert = (text: string) => database.write(session => session.execute('INSERT INTO t VALUES (?)', [text]));
  await expect(insert('x'.repeat(100_000))).rejects.toThrow('database or disk is full');
  await insert('x');
  await database.close();
});

it('sqlite keeps its files from other users of the machine', async () => {
  const before = process.umask(0o022);
  try {
    const store = await blank();
    await store.open();
    await store.claim?.(() => {});
    await store.createGroup({
      id: 'g',
      ...{ description: null, active: false, primary: null, primarySince: null, baseline: null, servers: [] },
    });
    const folder = dirname(file());
    const ours = readdirSync(folder).filter(name => name.startsWith(`${files}.sqlite`));
    expect(ours).toEqual(expect.arrayContaining([`${files}.sqlite`, `${files}.sqlite-node`, `${files}.sqlite-wal`]));
    for (const name of ours) expect([name, statSync(join(folder, name)).mode & 0o777]).toEqual([name, 0o600]);
    await store.close();
  } finally {
    process.umask(before);
  }
});

it.runIf(process.platform === 'linux')(
  'sqlite says which folder cannot be made, and does not try for ever',
  async () => {
    await expect(createSqliteStore({ file: '/proc/none/state.sqlite' }).open()).rejects.toThrow(
      'The folder /proc/none of the state store (storage.file) cannot be made (ENOENT).',
    );
    await expect(createSqliteStore({ file: folder }).open()).rejects.toThrow(
      `The state store ${folder} (storage.file) cannot be opened (EISDIR).`,
    );
  },
);

it('sqlite says which file is not open', async () => {
  const store = await blank();
  await expect(store.saveRun({} as never)).rejects.toThrow(`${files}.sqlite is not open`);
});
