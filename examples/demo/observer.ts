/** Looks at the group every second: what the node says of its servers, and what these say themselves. */
import type { Mysqld } from 'mysql2-fabric/testing';
import type { Cluster, Member } from './cluster.js';

/** A member and its replication. */
export interface Observation extends Member {
  readonly replication: string;
  /** Seconds behind its source, as it says itself; undefined for one that is none's replica, or does not answer. */
  readonly behind: number | undefined;
}

/** What the primary says of its semi-synchronous replication. */
export interface SemiSync {
  readonly on: boolean;
  /** Secondaries that acknowledge. */
  readonly replicas: number;
  /** Transactions that were committed without a secondary's acknowledgement. */
  readonly unacknowledged: number;
}

export async function observe(cluster: Cluster): Promise<Observation[]> {
  const members = await cluster.members();
  const { rows } = await cluster.health();
  return await Promise.all(
    members.map(async member => {
      const health = rows.find(({ uuid }) => uuid === member.uuid) ?? {};
      return { ...member, replication: await replication(member, health), behind: await behind(member) };
    }),
  );
}

async function replication(member: Member, health: Readonly<Record<string, unknown>>): Promise<string> {
  if (!health.is_alive) return 'does not answer';
  if (member.status === 'PRIMARY') {
    const { on, replicas } = await semiSync(member.server);
    return `semi-sync ${on ? 'on' : 'off'}, ${replicas} replica${replicas === 1 ? '' : 's'}`;
  }
  if (health.is_not_configured) return 'not configured';
  return `io ${health.io_not_running ? 'stopped' : 'ok'}, sql ${health.sql_not_running ? 'stopped' : 'ok'}`;
}

async function behind({ server }: Member): Promise<number | undefined> {
  const [row] = await server.query('SHOW REPLICA STATUS').catch(() => []);
  const seconds = row?.Seconds_Behind_Source;
  return seconds === null || seconds === undefined ? undefined : Number(seconds);
}

/** A server that does not answer has none. */
export async function semiSync(server: Mysqld): Promise<SemiSync> {
  const rows = await server.query("SHOW GLOBAL STATUS LIKE 'Rpl\\_semi\\_sync\\_source\\_%'").catch(() => []);
  const value = (name: string): unknown =>
    rows.find(row => row.Variable_name === `Rpl_semi_sync_source_${name}`)?.Value;
  return {
    on: value('status') === 'ON',
    replicas: Number(value('clients') ?? 0),
    unacknowledged: Number(value('no_tx') ?? 0),
  };
}
