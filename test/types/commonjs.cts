/** Compiled, never run: from CommonJS. */
import mysql2 = require('mysql2');
import fabric = require('mysql2-fabric');
import promise = require('mysql2-fabric/promise');
import node = require('mysql2-fabric/fabric');
import testing = require('mysql2-fabric/testing');

const connection: mysql2.Connection = fabric.connect({
  fabric: 'fabric1:32274',
  group: 'shop',
  mode: fabric.MODE_READONLY,
});
const pool: fabric.Pool = fabric.createPool({ fabric: 'fabric1:32274', group: 'shop' });
const promised: Promise<promise.Connection> = promise.createConnection({ fabric: 'fabric1:32274', group: 'shop' });
const running: node.Fabric = node.createFabric({ servers: { password: 'secret' } });
const servers: Promise<testing.Mysqld[]> = testing.startMysqlds(3);

export = { connection, pool, promised, running, servers };
