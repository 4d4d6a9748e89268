import { DataTypes, Model, QueryTypes, Sequelize } from 'sequelize';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as mysql from '../../src/index.js';
import { OrmGroup } from './orm-group.js';

/** Sequelize with our module as its driver, and its replication feature with secondaries that our connections find. */

class Note extends Model {
  declare id: number;
  declare token: string;
}

let group: OrmGroup;
let sequelize: Sequelize;

beforeAll(async () => {
  group = await OrmGroup.start();
  const { user, password, database, ...routing } = group.cluster.clientOptions;
  sequelize = new Sequelize({
    dialect: 'mysql',
    dialectModule: mysql,
    logging: false,
    pool: { max: 6 },
    username: String(user),
    password: String(password),
    database: String(database),
    replication: {
      write: { dialectOptions: routing },
      read: [{ dialectOptions: { ...routing, mode: mysql.MODE_READONLY } }],
    },
  } as object);
  Note.init({ token: DataTypes.STRING(50) }, { sequelize, tableName: 'notes', timestamps: false });
  await sequelize.authenticate();
  await Note.sync();
});
afterAll(async () => {
  await sequelize?.close();
  await group?.stop();
});

async function port(options: { useMaster?: boolean } = {}): Promise<number> {
  const [row] = await sequelize.query<{ port: number }>('SELECT @@port AS port', {
    type: QueryTypes.SELECT,
    ...options,
  });
  return row?.port ?? 0;
}

it('writes on the primary and reads on a secondary', async () => {
  const { primary, secondaries } = await group.ports();
  expect((await Note.create({ token: 'a' })).id).toBe(1);
  await Note.bulkCreate([{ token: 'b' }, { token: 'c' }]);
  await group.replicated();
  expect((await Note.findAll({ order: ['id'] })).map(({ token }) => token)).toEqual(['a', 'b', 'c']);
  const bound = await sequelize.query('SELECT token FROM notes WHERE id = $1', { bind: [2], type: QueryTypes.SELECT });
  expect(bound).toEqual([{ token: 'b' }]);
  expect(secondaries).toContain(await port());
  expect(await port({ useMaster: true })).toBe(primary);
});

it('rolls a transaction back, and nests with savepoints', async () => {
  const { primary } = await group.ports();
  const failing = sequelize.transaction(async transaction => {
    await Note.create({ token: 'undone' }, { transaction });
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  await sequelize.transaction({ isolationLevel: 'READ COMMITTED' as never }, async transaction => {
    const nested = await sequelize.transaction({ transaction });
    await Note.create({ token: 'undone' }, { transaction: nested });
    await nested.rollback();
    await Note.create({ token: 'done' }, { transaction });
    const [row] = await sequelize.query<{ port: number }>('SELECT @@port AS port', {
      type: QueryTypes.SELECT,
      transaction,
    });
    expect(row?.port).toBe(primary);
  });
  const found = await Note.findAll({
    where: sequelize.literal("token LIKE '%done'") as never,
    useMaster: true,
  } as object);
  expect(found.map(({ token }) => token)).toEqual(['done']);
});

it('goes on after a planned switchover', async () => {
  await Promise.all([1, 2, 3, 4].map(number => Note.create({ token: `before ${number}` })));
  await group.cluster.call('group.promote', 'my_group');
  await Promise.all([1, 2, 3, 4].map(number => Note.create({ token: `after ${number}` })));
  expect(await port({ useMaster: true })).toBe((await group.ports()).primary);
});

it('goes on when the primary is killed', async () => {
  await group.failover({
    facts: ['parent', 'fabric'],
    insert: token => Note.create({ token }),
    pair: (one, other) =>
      sequelize.transaction(async transaction => {
        await Note.create({ token: one }, { transaction });
        await Note.create({ token: other }, { transaction });
      }),
    count: () => Note.count(),
  });
});
