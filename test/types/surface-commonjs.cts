/** Compiled, never run: as surface.ts, from CommonJS. */
import mysql2 = require('mysql2');
import mysql2Promise = require('mysql2/promise');
import fabric = require('mysql2-fabric');
import fabricPromise = require('mysql2-fabric/promise');

type Lacking<Theirs, Ours> = Exclude<keyof Theirs, keyof Ours>;
type None<Names extends never> = Names;
type Lacks = [
  None<Lacking<typeof mysql2, typeof fabric>>,
  None<Lacking<typeof mysql2Promise, typeof fabricPromise>>,
  None<Lacking<mysql2.Connection, fabric.FabricConnection>>,
  None<Lacking<mysql2Promise.Pool, fabricPromise.FabricPool>>,
];
const none: Lacks = [] as never;

const options = { fabric: 'fabric1', user: 'app', group: 'shop' };
const door: Omit<typeof mysql2, 'createConnection' | 'createPool'> = fabric;
const promiseDoor: Omit<typeof mysql2Promise, 'createConnection' | 'createPool'> = fabricPromise;
const connection: mysql2.Connection = fabric.createConnection(options);
const pool: mysql2.Pool = fabric.createPool(options);
const promised: Promise<mysql2Promise.Connection> = fabricPromise.createConnection(options);
const promisedPool: mysql2Promise.Pool = fabricPromise.createPool(options);
const theirs: fabric.Connection = mysql2.createConnection('mysql://db1/app');
const theirPool: fabricPromise.Pool = mysql2Promise.createPool('mysql://db1/app');

export = { connection, door, none, pool, promiseDoor, promised, promisedPool, theirPool, theirs };
