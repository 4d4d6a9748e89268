import type { Socket } from 'node:net';
import type { RowDataPacket } from 'mysql2';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ErrorFacts } from '../../src/index.js';
import { createPool, type FabricPool } from '../../src/promise.js';
import { Cluster } from './cluster.js';

/** A transaction whose connection is lost is over as a whole: nothing that was meant for it may run outside of it. */

let cluster: Cluster;
let pool: FabricPool;

beforeAll(async () => {
  cluster = await Cluster.start(1);
  pool = createPool(cluster.clientOptions);
  await pool.query('CREATE TABLE log (token INT) ENGINE=InnoDB');
});
afterAll(async () => {
  await pool?.end();
  await cluster?.stop();
});
beforeEach(() => pool.query('DELETE FROM log'));

const insert = (token: number): string => `INSERT INTO log VALUES (${token})`;

async function tokens(): Promise<number[]> {
  const [rows] = await pool.query<RowDataPacket[]>('SELECT token FROM log ORDER BY token');
  return rows.map(({ token }) => token as number);
}

function outcome(result: PromiseSettledResult<unknown>): string | undefined {
  if (result.status === 'fulfilled') return 'fulfilled';
  return (result.reason as { fabric?: ErrorFacts }).fabric?.outcome;
}

/** A transaction with one statement done, whose connection the server closes while the next ones wait. */
async function loseTransaction(statements: readonly string[]) {
  const connection = await pool.getConnection();
  await connection.beginTransaction();
  await connection.query(insert(1));
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
  const results = Promise.allSettled(
    ['SELECT SLEEP(30)', ...statements].map(sql => connection.query(sql).then(() => 'done')),
  );
  await pool.query(`KILL ${row?.id}`);
  return { connection, outcomes: (await results).map(outcome) };
}

it('statements that wait behind the one that lost it fail too, and are not executed on another connection', async () => {
  const { connection, outcomes } = await loseTransaction([insert(2), insert(3)]);
  expect(outcomes).toEqual(['rolled-back', 'rolled-back', 'rolled-back']);
  await expect(connection.query(insert(4))).rejects.toMatchObject({ fabric: { outcome: 'rolled-back' } });
  await connection.rollback();
  await connection.query(insert(5));
  connection.release();
  expect(await tokens()).toEqual([5]);
});

it('COMMIT tells that nothing was committed', async () => {
  const { connection, outcomes } = await loseTransaction([insert(2), 'COMMIT', insert(3)]);
  expect(outcomes).toEqual(['rolled-back', 'rolled-back', 'rolled-back', 'fulfilled']);
  connection.release();
  expect(await tokens()).toEqual([3]);
});

it('a BEGIN that is lost takes what waits behind it along, and nothing that comes later', async () => {
  const connection = await pool.getConnection();
  const [server] = cluster.servers;
  server?.pause();
  const results = Promise.allSettled(['BEGIN', insert(1), insert(2)].map(sql => connection.query(sql).then(() => '')));
  (connection.connection as unknown as { stream: Socket }).stream.destroy();
  server?.resume();
  expect((await results).map(outcome)).toEqual(['in-doubt', 'rolled-back', 'rolled-back']);
  await connection.query(insert(3));
  connection.release();
  expect(await tokens()).toEqual([3]);
});

it('pools of ORMs, which look at the socket, see that the connection is to be replaced', async () => {
  const { connection } = await loseTransaction([]);
  const core = connection.connection as unknown as { stream: Socket };
  expect(core.stream.destroyed).toBe(true);
  await connection.rollback();
  expect(core.stream.destroyed).toBe(false);
  connection.release();
});

it('a statement with properties of its own was meant for the transaction too', async () => {
  const { connection } = await loseTransaction([]);
  await expect(connection.query({ sql: insert(2), group: Cluster.group, mode: 2 })).rejects.toMatchObject({
    fabric: { outcome: 'rolled-back' },
  });
  await connection.beginTransaction();
  await connection.query(insert(3));
  await connection.commit();
  connection.release();
  expect(await tokens()).toEqual([3]);
});

it('whoever gets the next connection has nothing to do with it', async () => {
  const { connection } = await loseTransaction([]);
  connection.release();
  const next = await pool.getConnection();
  await next.query(insert(2));
  next.release();
  expect(await tokens()).toEqual([2]);
});

it('it is told as well when the connection was lost between two statements', async () => {
  const connection = await pool.getConnection();
  await connection.beginTransaction();
  await connection.query(insert(1));
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
  await pool.query(`KILL ${row?.id}`);
  await expect
    .poll(async () => outcome((await Promise.allSettled([connection.query(insert(2))]))[0]))
    .toBe('rolled-back');
  await expect(connection.commit()).rejects.toMatchObject({ fabric: { outcome: 'rolled-back' } });
  connection.release();
  expect(await tokens()).toEqual([]);
});
