import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { titlesOf } from '../unit/test-titles.js';

/** What users of pools, proxies and failover tools have stumbled over, and the test that fails when ours does so too. */
const TRAPS: readonly [trap: string, file: string, title: string][] = [
  // Roles
  [
    'a demoted primary is written to for ever: pool.query',
    'unit/client/session',
    'is sent again to the server that the topology names then',
  ],
  [
    '..., in a transaction of getConnection',
    'unit/client/traps',
    'evicts the connection of whoever holds it in a transaction: %s',
  ],
  ['..., on every other path', 'integration/client-read-only', '%s: %s, and the connection ends'],
  [
    '..., and the write is lost',
    'integration/client-failover',
    'a server that lost its role behind our back refuses, and the write is held until the topology says better',
  ],
  [
    '1290 is taken for a change of role whatever its cause',
    'integration/client-failover',
    '1290 for another reason is passed on at once and unchanged',
  ],
  [
    'writes that are held are let go before the new primary is confirmed',
    'integration/client-failover',
    'writes are held, none is executed twice, none is told wrongly',
  ],
  [
    'a stale topology names the wrong writer',
    'unit/client/topology-cache',
    'makes the next one ask, though the TTL has not passed',
  ],
  // Health
  [
    'saturation removes a healthy server',
    'unit/client/traps',
    'is refused to many, and serves as before when one is free: nothing is held against it',
  ],
  [
    'SQL errors and timeouts count as failures of the server',
    'unit/client/session',
    'are not sent for SQL errors, timeouts, saturation, and connections that we cut',
  ],
  [
    'a wrong password counts against a server',
    'integration/client-connection',
    'tells a wrong password at once, in MySQLs words',
  ],
  [
    'a server that was gone once never comes back',
    'unit/client/session',
    'that comes back is used within the time that statements are held',
  ],
  [
    'a pool tries a dead server without a pause: the event loop stands still',
    'unit/client/session',
    'never keeps the event loop from turning, however many statements hit it',
  ],
  [
    'one observer decides that a server is dead',
    'unit/fabric/detector',
    'never declares a primary dead that a replica hears, and does when it no longer does',
  ],
  [
    'a replica that no longer replicates is asked about the primary',
    'unit/fabric/detector',
    'takes a replica with stopped threads for no witness',
  ],
  [
    'a second failover is held back, and nobody says so',
    'integration/operations',
    'why: the failover interval is not over',
  ],
  // Hanging
  [
    'a server that hangs: statements are stuck until TCP gives up',
    'integration/client-failover',
    'what hangs on it fails once the topology has changed, and new writes go to the new primary',
  ],
  [
    'a packet out of place: the statement waits for ever',
    'unit/client/session',
    'is in doubt at once when a packet is out of its place: %s',
  ],
  [
    'a Fabric node that hangs',
    'integration/client-failover',
    'delays little: statements go on with what is known, even while a server is dead',
  ],
  ['a wait has no bound', 'integration/client-pool', 'acquireTimeout bounds the wait'],
  [
    'a wait begins anew with each try',
    'unit/client/session',
    'fails with that error when no server takes it until failoverTimeout',
  ],
  [
    'a wait that was given up keeps the connection that it gets',
    'unit/client/abort',
    'that waits for a connection to be made is given up, and the connection serves others',
  ],
  // Pools: mysql2's, generic-pool, lru-cache
  [
    'a server with too many connections fails a read that others could serve',
    'unit/client/pools',
    'fails no read that another can serve: %d',
  ],
  [
    'the time of a wait begins anew in another line',
    'unit/client/pools',
    'counts once, also for who has to begin again in another line',
  ],
  [
    'a wait cannot be called off',
    'unit/client/abort',
    'that waits for a busy connection leaves the line at once, with the reason as it was given',
  ],
  [
    'a connect that hangs outlasts the bound of the wait',
    'unit/client/pools',
    'bounds the wait for a server that takes the connection and then says nothing',
  ],
  ['callers without number may wait', 'integration/client-pool', 'queueLimit and waitForConnections refuse at once'],
  [
    'nothing is kept warm: the first writes on a new primary wait',
    'unit/client/pools',
    'are there when a secondary becomes the primary: its first write waits for no connection',
  ],
  ['what was lost still counts as kept', 'unit/client/pools', 'come back when they were lost'],
  [
    'connections live for ever, or all end at once',
    'unit/client/pools',
    'ends connections when they are idle or given back, never under a statement, and not all at once',
  ],
  [
    'what a pool does is seen in private fields only',
    'unit/client/pools',
    'tell per server of connections, waits, errors and picks',
  ],
  [
    'a cache forgets what it cannot fetch again',
    'unit/client/topology-cache',
    'the old topology is served, and a node is asked about once a second, not for every statement',
  ],
  ['each caller fetches what is missing', 'unit/client/topology-cache', 'asks once for all who wait'],
  // Objects
  [
    'an error without a listener ends the process',
    'integration/client-process',
    'an error that nobody listens for does not end the process',
  ],
  [
    'another server, another object: `release` is gone',
    'unit/client/traps',
    'keeps what the caller holds: the object, its methods and its listeners',
  ],
  [
    'without a callback and without a server: `cb is not a function`',
    'unit/client/traps',
    'takes a statement without a callback, and tells its error: %s',
  ],
  [
    "createPoolCluster().query of the promise door is no function; it is mysql2's",
    'unit/client/traps',
    "createPoolCluster is mysql2's own",
  ],
  [
    'an unknown algorithm of balancing fails with the first statement, as no function',
    'unit/client/options',
    '%s: %s for %j',
  ],
  [
    'query(sql, callback) returns nothing to chain on',
    'tables/mysql2-calls/queries',
    'connection.query: events beside a callback',
  ],
  // Transactions and sessions
  [
    'a transaction that BEGIN, or autocommit, opened',
    'integration/client-connection',
    'stays on its connection, whatever mode a statement has: %s',
  ],
  [
    'a transaction is split over two servers',
    'integration/client-lost-transaction',
    'statements that wait behind the one that lost it fail too, and are not executed on another connection',
  ],
  [
    'somebody inherits an open transaction',
    'integration/client-pool',
    'lets nobody inherit a transaction left open %s',
  ],
  ['an idle connection that the server closed', 'integration/client-pool', 'are handed to nobody: %j'],
  ['a closed statement is sent again', 'tables/mysql2-calls/connections', 'prepare, close, execute'],
  [
    'statements smuggled along with a statement',
    'tables/mysql2-calls/queries',
    'multipleStatements that are not allowed',
  ],
];

it.each(TRAPS)('%s: has a test', (_trap, file, title) => {
  if (file.startsWith('tables/')) {
    expect(readFileSync(join(import.meta.dirname, `../${file}.ts`), 'utf8')).toContain(`'${title}'`);
  } else {
    expect([...titlesOf(`${file}.test.ts`)]).toContain(title);
  }
});
