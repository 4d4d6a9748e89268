/** Compiled, never run: mysql2's typings, name by name, in both doors; and values of each where the other is asked for. */
import * as mysql2 from 'mysql2';
import * as mysql2Promise from 'mysql2/promise';
import * as fabric from 'mysql2-fabric';
import * as fabricPromise from 'mysql2-fabric/promise';

/** Names that theirs has and ours lacks; must be none. */
type Lacking<Theirs, Ours> = Exclude<keyof Theirs, keyof Ours>;
type None<Names extends never> = Names;

export type Lacks = [
  None<Lacking<typeof mysql2, typeof fabric>>,
  None<Lacking<typeof mysql2Promise, typeof fabricPromise>>,
  None<Lacking<mysql2.Connection, fabric.FabricConnection>>,
  None<Lacking<mysql2.PoolConnection, fabric.FabricPoolConnection>>,
  None<Lacking<mysql2.Pool, fabric.FabricPool>>,
  None<Lacking<mysql2Promise.Connection, fabricPromise.FabricConnection>>,
  None<Lacking<mysql2Promise.PoolConnection, fabricPromise.FabricPoolConnection>>,
  None<Lacking<mysql2Promise.Pool, fabricPromise.FabricPool>>,
];

/** All but what needs `fabric` in its options has mysql2's own type. */
type Needy = 'createConnection' | 'createPool' | 'default';
export const door: Omit<typeof mysql2, Needy> = fabric;
export const promiseDoor: Omit<typeof mysql2Promise, Needy> = fabricPromise;

/** Ours, wherever mysql2's is asked for. */
const options = { fabric: 'fabric1', user: 'app', group: 'shop' };
export const connections: mysql2.Connection[] = [fabric.connect(options), fabric.createConnection(options)];
export const pool: mysql2.Pool = fabric.createPool(options);
export const promised: mysql2Promise.Connection[] = [fabricPromise.connect(options), fabric.connect(options).promise()];
export const promisedPool: mysql2Promise.Pool[] = [
  fabricPromise.createPool(options),
  fabric.createPool(options).promise(),
];
export function lend(ours: fabric.FabricPool, oursPromised: fabricPromise.FabricPool): void {
  ours.getConnection((error, lent) => {
    const theirs: mysql2.PoolConnection = lent;
    const promised: mysql2Promise.PoolConnection = lent.promise();
    if (!error) ours.releaseConnection(theirs);
    promised.release();
  });
  const lent: Promise<mysql2Promise.PoolConnection> = oursPromised.getConnection();
  void lent.then(theirs => oursPromised.releaseConnection(theirs));
}

/** mysql2's, wherever an application that imports its types from us asks for them. */
export const theirs: fabric.Connection = mysql2.createConnection('mysql://db1/app');
export const theirPool: fabric.Pool = mysql2.createPool('mysql://db1/app');
export const theirPromised: Promise<fabricPromise.Connection> = mysql2Promise.createConnection('mysql://db1/app');
export const theirPromisedPool: fabricPromise.Pool = mysql2Promise.createPool('mysql://db1/app');
