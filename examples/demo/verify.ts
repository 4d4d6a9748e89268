/** Counts on the servers themselves what became of the application's writes. */
import type { Cluster, Member } from './cluster.js';
import type { Journal } from './journal.js';

/** What one server holds of the application's writes. */
export interface Count {
  readonly server: string;
  readonly status: string;
  readonly rows: number;
  /** Acknowledged, and not there. */
  readonly lost: readonly string[];
  /** In doubt, and there. */
  readonly doubtfulFound: number;
  /** Neither acknowledged nor in doubt, and there. */
  readonly unexpected: readonly string[];
}

const CATCH_UP_SECONDS = 10;

/** The primary, then every secondary once it has caught up. The application must have stopped. */
export async function countWrites(cluster: Cluster, journal: Journal): Promise<Count[]> {
  const primary = await cluster.requirePrimary();
  const [row] = await primary.server.query('SELECT @@GLOBAL.gtid_executed AS gtids');
  const secondaries = (await cluster.members()).filter(({ status }) => status === 'SECONDARY');
  await Promise.all(secondaries.map(secondary => catchUp(secondary, String(row?.gtids))));
  return await Promise.all([primary, ...secondaries].map(member => countOn(member, journal)));
}

async function catchUp({ server, name }: Member, gtids: string): Promise<void> {
  const [row] = await server.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS late', [gtids, CATCH_UP_SECONDS]);
  if (Number(row?.late) !== 0) throw new Error(`${name} did not catch up within ${CATCH_UP_SECONDS} s.`);
}

async function countOn({ name, status, server }: Member, journal: Journal): Promise<Count> {
  const rows = await server.query('SELECT writer, n FROM app.writes');
  const there = new Set(rows.map(({ writer, n }) => `${writer}/${n}`));
  const acknowledged = new Set(journal.acknowledged.map(({ id }) => id));
  const doubtful = new Set(journal.inDoubt.map(({ id }) => id));
  return {
    server: name,
    status,
    rows: there.size,
    lost: [...acknowledged].filter(id => !there.has(id)),
    doubtfulFound: [...doubtful].filter(id => there.has(id)).length,
    unexpected: [...there].filter(id => !acknowledged.has(id) && !doubtful.has(id)),
  };
}
