/** Exit status 0: the node answers, and its group has a primary that takes statements. */
import { readFileSync } from 'node:fs';
import { connect } from 'mysql2-fabric/promise';

const secret = (name: string) => {
  const file = process.env[`${name}_FILE`];
  return file ? readFileSync(file, 'utf8').trim() : (process.env[name] ?? '');
};
const port = (process.env.FABRIC_ADDRESS ?? ':32274').replace(/.*:/, '');

const connection = connect({
  fabric: { host: `127.0.0.1:${port}`, user: process.env.FABRIC_USER ?? 'admin', password: secret('FABRIC_PASSWORD') },
  user: process.env.SERVERS_USER ?? 'fabric',
  password: secret('SERVERS_PASSWORD'),
  group: process.env.FABRIC_GROUP ?? 'my_group',
  reportErrors: false,
  failoverTimeout: 2_000,
});
try {
  await connection.query('SELECT 1');
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  connection.destroy();
}
