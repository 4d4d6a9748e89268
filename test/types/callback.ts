/** Compiled, never run: what mysql2's callback API takes, it takes from us. */
import mysql2, {
  type Connection,
  type Pool,
  type PoolConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2';
import type {
  Connection as PromiseConnection,
  Pool as PromisePool,
  PoolConnection as PromisePoolConnection,
} from 'mysql2/promise';
import fabric, {
  connect,
  createConnection,
  createPool,
  createPoolPromise,
  type ErrorFacts,
  escape as escapeValue,
  type FabricConnection,
  type FabricConnectionOptions,
  FabricError,
  type FabricPool,
  type FabricPoolOptions,
  format,
  MODE_READONLY,
  MODE_READWRITE,
  type QueryError,
  run,
  type Server,
  STATUS_PRIMARY,
  type Types,
} from 'mysql2-fabric';

const options = {
  fabric: { host: 'fabric1', port: 32274, nodes: ['fabric2:32274'], user: 'admin', password: 'secret' },
  user: 'app',
  password: 'app',
  database: 'app',
  group: 'shop',
  mode: MODE_READWRITE,
} satisfies FabricPoolOptions;

// What we make is what mysql2 makes.
const connection: Connection = connect(options);
const created: Connection = createConnection('mysql+fabric://admin:secret@fabric1/app?group=shop');
const pool: Pool = createPool({ ...options, connectionLimit: 20, waitForConnections: true });
const promised: PromiseConnection = connection.promise();
const promisedPool: PromisePool = createPool(options).promise();
const alsoPromised: PromisePool = createPoolPromise(options);

// Code that takes mysql2's types takes ours.
function report(db: Connection | Pool | PoolConnection): void {
  db.query<RowDataPacket[]>('SELECT 1 AS one', (error, rows, fields) => {
    if (error) throw error;
    const one: unknown = rows[0]?.one;
    const name: string | undefined = fields[0]?.name;
    console.log(one, name);
  });
}
report(connect(options));
report(createPool(options));

// What is ours.
const ours: FabricConnection = connect({
  fabric: 'fabric1:32274,fabric2:32274',
  user: 'app',
} satisfies FabricConnectionOptions)
  .setProperty({ group: 'shop', mode: MODE_READONLY })
  .resetProperties()
  .setProperty({ group: 'shop', mode: 'READONLY' });
const server: Server | undefined = ours.server;
const uuid: string | undefined = ours.fabricUuid;
const ourPool: FabricPool = createPool(options).setProperty({ mode: 1 });
const idle: number | undefined = ourPool.stats()[0]?.idle;

// A view goes wherever mysql2's pool is asked for, in both doors.
const readers: Pool = createPool(options).with({ mode: MODE_READONLY });
const promisedReaders: PromisePool = createPoolPromise(options).with({ mode: 'READONLY' });
report(ourPool.with({ group: 'other' }));
const waited: number | undefined = createPoolPromise(options).stats()[0]?.waits.mean;

const { signal } = new AbortController();
ourPool.query<RowDataPacket[]>({ sql: 'SELECT 1', signal, mode: 'READONLY' }, (error, rows) =>
  console.log(error, rows),
);
ourPool.getConnection({ signal }, (error, lent) => console.log(error?.code, lent.threadId));
const lentLater: Promise<PromisePoolConnection> = createPoolPromise(options).getConnection({ signal });
createPool({ ...options, balancer: 'leastBusy', maxLifetime: 3_600_000, slowStart: 10_000 });
createPool({
  ...options,
  balancer: (candidates, load) =>
    candidates.find(each => each.host === 'near' && load.inFlight(each) < 10) ?? (candidates[0] as Server),
});
// @ts-expect-error nobody knows this balancer
createPool({ ...options, balancer: 'sticky' });

ourPool.getConnection((error, lent) => {
  if (error) throw error;
  const asTheirs: PoolConnection = lent;
  lent.beginTransaction(failed => {
    if (failed) return lent.rollback(() => lent.release());
    lent.execute<ResultSetHeader>('INSERT INTO t VALUES (?)', [1], (problem, result) => {
      console.log(problem?.code, result.insertId, result.affectedRows);
      lent.commit(() => asTheirs.release());
    });
  });
});

ourPool.query({ sql: 'SELECT ?', values: [1], timeout: 1_000, rowsAsArray: true });
ourPool.execute('SELECT ?', [1], (error: QueryError | null, rows) => console.log(error?.errno, rows));
connection.query('SELECT 1').stream({ highWaterMark: 5 }).on('data', console.log);
connection.on('error', (error: Error) => console.log(error.message));

// Transactions and scopes.
const count: Promise<number> = ourPool.withTransaction(
  async given => {
    const same: FabricConnection = given;
    await same.promise().query('SELECT 1');
    return 1;
  },
  { mode: 'READONLY', isolationLevel: 'READ COMMITTED', retries: 2, signal: new AbortController().signal },
);
const nothing: Promise<void> = ours.withTransaction(() => {});
const scoped: Promise<number> = run({ mode: MODE_READONLY, group: 'shop' }, () => count);
// @ts-expect-error there is no such level
ours.withTransaction(() => {}, { isolationLevel: 'CHAOS' });

// Errors say how far the statement got.
declare const caught: QueryError & { fabric?: ErrorFacts };
if (caught.fabric?.outcome === 'in-doubt') console.log(caught.fabric.server?.status === STATUS_PRIMARY);
if ((caught as Error) instanceof FabricError) console.log('ours');

// Wrong ones are refused.
// @ts-expect-error there is no such mode
connect({ ...options, mode: 7 });
// @ts-expect-error a group has a name
connect(options).setProperty({ group: 1 });
// @ts-expect-error a client without Fabric nodes is mysql2's own
connect({ host: 'db1' });
// @ts-expect-error nobody knows this property
connect(options).setProperty({ shard: 'x' });

// The rest of mysql2 comes along.
const text: string = escapeValue(1) + format('SELECT ?', [1]) + mysql2.escapeId('a') + fabric.escapeId('a');
const cluster = fabric.createPoolCluster();
const viaDefault: Pool = fabric.createPool(options);
const type: keyof typeof Types | undefined = undefined;

export {
  alsoPromised,
  cluster,
  created,
  idle,
  lentLater,
  nothing,
  pool,
  promised,
  promisedPool,
  promisedReaders,
  readers,
  scoped,
  server,
  text,
  type,
  uuid,
  viaDefault,
  waited,
};
