/**
 * The Fabric node of docker-compose.yml: one group of the servers that the environment names, formed anew at each start.
 *
 * MYSQL_SERVERS      host:port,host:port,... as clients and replicas reach them
 * SERVERS_USER       account that every server has; SERVERS_PASSWORD
 * FABRIC_ADDRESS     where the node listens; FABRIC_USER, FABRIC_PASSWORD: who may call it
 * FABRIC_GROUP       name of the group
 *
 * Each may also be given as NAME_FILE, the path of a file with the value, as secrets are.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { createFabric, type Fabric } from 'mysql2-fabric/fabric';

function setting(name: string, fallback?: string): string {
  const file = process.env[`${name}_FILE`];
  const value = file ? readFileSync(file, 'utf8').trim() : (process.env[name] ?? fallback);
  if (!value) throw new Error(`${name} or ${name}_FILE must be set`);
  return value;
}

const servers = setting('MYSQL_SERVERS')
  .split(',')
  .map(address => address.trim());
const account = { user: setting('SERVERS_USER', 'fabric'), password: setting('SERVERS_PASSWORD') };
const group = setting('FABRIC_GROUP', 'my_group');
const say = (sentence: string) => console.log(`${new Date().toISOString()} ${sentence}`);

/**
 * Can be repeated: what is there already stays. A server that does not answer is left for the next time.
 * @returns the servers that are missing.
 */
async function addServers(fabric: Fabric): Promise<string[]> {
  const { rows: groups } = await fabric.call('group.lookup_groups');
  if (!groups.some(row => row.group_id === group)) await fabric.call('group.create', group);
  const { rows: members } = await fabric.call('group.lookup_servers', group);
  const missing: string[] = [];
  for (const server of servers.filter(each => !members.some(row => row.address === each))) {
    try {
      await fabric.call('group.add', group, server);
    } catch (error) {
      say(`${server} is not in the group yet: ${error instanceof Error ? error.message : String(error)}`);
      missing.push(server);
    }
  }
  return missing;
}

async function openGroup(fabric: Fabric): Promise<void> {
  const { rows: members } = await fabric.call('group.lookup_servers', group);
  if (!members.some(row => row.status === 'PRIMARY')) {
    const candidate = await writableServer();
    await fabric.call('group.promote', group, ...(candidate === undefined ? [] : [candidate]));
  }
  await fabric.call('group.activate', group);
}

/** The node keeps its group in memory, so after a start the servers themselves must tell which of them is the primary. */
async function writableServer(): Promise<string | undefined> {
  const writable = await Promise.all(servers.map(server => isWritable(server).catch(() => false)));
  const found = servers.filter((_server, index) => writable[index]);
  // all of them are writable before the first promotion: then the node chooses
  return found.length === 1 ? found[0] : undefined;
}

async function isWritable(server: string): Promise<boolean> {
  const { hostname: host, port } = new URL(`mysql://${server}`);
  const connection = await mysql.createConnection({ ...account, host, port: Number(port), connectTimeout: 5_000 });
  try {
    const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT @@GLOBAL.read_only AS readOnly');
    return rows[0]?.readOnly === 0;
  } finally {
    connection.destroy();
  }
}

const fabric = createFabric({
  servers: account,
  protocol: {
    xmlrpc: {
      address: setting('FABRIC_ADDRESS', '0.0.0.0:32274'),
      user: setting('FABRIC_USER', 'admin'),
      password: setting('FABRIC_PASSWORD'),
    },
  },
  failureTracking: { detections: 3, detectionInterval: 3 },
  log: { debug() {}, info: say, warn: say, error: say },
});

const ending = new AbortController();
const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]).then(() => ending.abort());

/** Waits a minute for all of them, since one that is late may be the primary; then goes on with those that answer. */
async function formGroup(fabric: Fabric, signal: AbortSignal): Promise<void> {
  const patience = Date.now() + 60_000;
  let open = false;
  while (!signal.aborted) {
    try {
      const missing = await addServers(fabric);
      if (!open && (missing.length === 0 || Date.now() > patience)) {
        await openGroup(fabric);
        open = true;
        say(`group ${group} is open`);
      }
      if (missing.length === 0) return;
    } catch (error) {
      say(`group ${group} is not open yet: ${error instanceof Error ? error.message : String(error)}`);
    }
    await sleep(2_000, undefined, { signal }).catch(() => {});
  }
}

await fabric.start();
await formGroup(fabric, ending.signal);
await ended;
await fabric.stop();
