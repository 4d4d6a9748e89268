/** The sandbox's door, "mysql2-fabric/testing": real MySQL servers and a misbehaving network, for tests. */
export { type Account, APP_DATABASE, accounts } from './testing/accounts.js';
export { type ByteCounts, type Direction, FaultProxy, type FaultProxyOptions } from './testing/fault-proxy.js';
export { Mysqld, startMysqlds } from './testing/mysqld.js';
export type { MysqldOptions } from './testing/mysqld-options.js';
export type { ServerOptions } from './testing/server-options.js';
export { SERVER_VERSIONS, type ServerVersion } from './testing/server-program.js';
export { type TestServer, testServers } from './testing/test-servers.js';
