import { createRequire } from 'node:module';
import knex, { type Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as mysql from '../../src/index.js';
import { OrmGroup } from './orm-group.js';

/** Knex in the two ways that it has: over one of our pools, and with connections of its own from our module. */

let group: OrmGroup;
const pools: mysql.FabricPool[] = [];
const made: Knex[] = [];

function overPool(options: Partial<mysql.FabricPoolOptions> = {}): Knex {
  const pool = mysql.createPool({ ...group.cluster.clientOptions, ...options });
  pools.push(pool);
  const db = knex({ client: 'mysql2', connectionPool: pool });
  made.push(db);
  return db;
}

const MySql2: typeof knex.Client = createRequire(import.meta.url)('knex/lib/dialects/mysql2');

class FabricClient extends MySql2 {
  _driver(): typeof mysql {
    return mysql;
  }
}

function overConnections(options: Partial<mysql.FabricPoolOptions> = {}): Knex {
  const db = knex({
    client: FabricClient,
    connection: { ...group.cluster.clientOptions, ...options } as object,
    pool: { min: 0, max: 6 },
  });
  made.push(db);
  return db;
}

const portOf = async (db: Knex): Promise<number> => (await db.select(db.raw('@@port AS port')).first()).port;

describe.each([
  ['over a pool', overPool],
  ['with connections of its own', overConnections],
])('%s', (_name, make) => {
  let db: Knex;
  let reader: Knex;

  beforeAll(async () => {
    group = await OrmGroup.start();
    db = make();
    reader = make({ mode: mysql.MODE_READONLY });
    await db.schema.createTable('notes', table => {
      table.increments('id');
      table.string('token', 50);
    });
  });
  afterAll(async () => {
    await Promise.all(made.splice(0).map(db => db.destroy()));
    await Promise.all(pools.splice(0).map(pool => pool.promise().end()));
    await group?.stop();
  });

  it('writes on the primary, reads and streams on a secondary', async () => {
    const { primary, secondaries } = await group.ports();
    expect(await db('notes').insert([{ token: 'a' }, { token: 'b' }])).toEqual([1]);
    await group.replicated();
    expect(await reader('notes').pluck('token').orderBy('id')).toEqual(['a', 'b']);
    const streamed: unknown[] = [];
    for await (const row of reader('notes').select('token').orderBy('id').stream()) streamed.push(row);
    expect(streamed).toEqual([{ token: 'a' }, { token: 'b' }]);
    expect(await portOf(db)).toBe(primary);
    expect(secondaries).toContain(await portOf(reader));
    const [own] = await db('notes').select(db.raw('@@port AS port')).options({ mode: mysql.MODE_READONLY });
    expect(secondaries).toContain(own.port);
  });

  it('gives the connection back when a stream is left early', async () => {
    for (let turn = 0; turn < 12; turn += 1) {
      for await (const row of db('notes').select('token').orderBy('id').stream()) {
        expect(row).toEqual({ token: 'a' });
        break;
      }
    }
  });

  it('rolls a transaction back, and nests with savepoints', async () => {
    const failing = db.transaction(async transaction => {
      await transaction('notes').insert({ token: 'undone' });
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    await db.transaction(
      async transaction => {
        const nested = transaction.transaction(async inner => {
          await inner('notes').insert({ token: 'undone' });
          await inner.rollback(new Error('not this'));
        });
        await expect(nested).rejects.toThrow('not this');
        await transaction('notes').insert({ token: 'done' });
      },
      { isolationLevel: 'read committed' },
    );
    expect(await db('notes').pluck('token').where('token', 'like', '%done')).toEqual(['done']);
  });

  it('goes on when the primary is killed', async () => {
    await group.failover({
      facts: ['fabric'],
      insert: token => db('notes').insert({ token }),
      pair: (one, other) =>
        db.transaction(async transaction => {
          await transaction('notes').insert({ token: one });
          await transaction('notes').insert({ token: other });
        }),
      count: async () => (await reader('notes').count({ count: '*' }))[0]?.count as number,
    });
  });
});
