import { DataSource, EntitySchema, Like } from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as mysql from '../../src/index.js';
import { OrmGroup } from './orm-group.js';

/** TypeORM with our module as its driver: one data source for writes, one whose statements go to the secondaries. */

interface Note {
  id: number;
  token: string;
}

const Notes = new EntitySchema<Note>({
  name: 'notes',
  columns: { id: { type: 'int', primary: true, generated: true }, token: { type: 'varchar', length: 50 } },
});

let group: OrmGroup;
let db: DataSource;
let reader: DataSource;

function dataSource(options: Partial<mysql.FabricPoolOptions> = {}): DataSource {
  const { user, password, database, ...routing } = group.cluster.clientOptions;
  return new DataSource({
    type: 'mysql',
    driver: mysql,
    username: String(user),
    password: String(password),
    database: String(database),
    extra: { ...routing, ...options },
    entities: [Notes],
  });
}

beforeAll(async () => {
  group = await OrmGroup.start();
  db = await dataSource().initialize();
  await db.synchronize();
  reader = await dataSource({ mode: mysql.MODE_READONLY }).initialize();
});
afterAll(async () => {
  await Promise.all([db?.destroy(), reader?.destroy()]);
  await group?.stop();
});

const portOf = async (source: DataSource): Promise<number> =>
  Number((await source.query('SELECT @@port AS port'))[0].port);

it('writes on the primary, reads and streams on a secondary', async () => {
  const { primary, secondaries } = await group.ports();
  expect(await db.getRepository(Notes).save([{ token: 'a' }, { token: 'b' }])).toEqual([
    { id: 1, token: 'a' },
    { id: 2, token: 'b' },
  ]);
  await group.replicated();
  expect(await reader.getRepository(Notes).find({ order: { id: 'ASC' } })).toHaveLength(2);
  const stream = await reader.getRepository(Notes).createQueryBuilder('n').orderBy('n.id').stream();
  const streamed: unknown[] = [];
  for await (const row of stream) streamed.push(row);
  expect(streamed).toEqual([
    { n_id: 1, n_token: 'a' },
    { n_id: 2, n_token: 'b' },
  ]);
  expect(await portOf(db)).toBe(primary);
  expect(secondaries).toContain(await portOf(reader));
});

it('rolls a transaction back, and nests with savepoints', async () => {
  const failing = db.transaction(async manager => {
    await manager.insert(Notes, { token: 'undone' });
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  await db.transaction('READ COMMITTED', async manager => {
    const nested = manager.transaction(async inner => {
      await inner.insert(Notes, { token: 'undone' });
      throw new Error('not this');
    });
    await expect(nested).rejects.toThrow('not this');
    await manager.insert(Notes, { token: 'done' });
  });
  const found = await db.getRepository(Notes).findBy({ token: Like('%done') });
  expect(found.map(({ token }) => token)).toEqual(['done']);
});

it('goes on when the primary is killed', async () => {
  await group.failover({
    facts: ['driverError', 'fabric'],
    insert: token => db.getRepository(Notes).insert({ token }),
    pair: (one, other) =>
      db.transaction(async manager => {
        await manager.insert(Notes, { token: one });
        await manager.insert(Notes, { token: other });
      }),
    count: () => reader.getRepository(Notes).count(),
  });
});
