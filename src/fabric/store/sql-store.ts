import { setImmediate as nextTurn } from 'node:timers/promises';
import { createBatches } from './batches.js';
import { addCounts, createDecisionLog, readCounts } from './decision-log.js';
import { addressKey, createGroupTable, type GroupTable } from './group-table.js';
import { countReports, createReportLog, forgetReports, NO_REPORTS } from './report-log.js';
import { GROUP_COLUMNS, groupOf, groupRow, places, runOf, SERVER_COLUMNS, serverOf, serverRow } from './rows.js';
import { insertEndedRuns, readRun, writeRun } from './run-rows.js';
import { migrate } from './schema.js';
import type { Row, SqlDatabase, SqlSession, Work } from './sql-database.js';
import {
  type GroupRecord,
  type ServerRecord,
  type Store,
  StoreConflict,
  StoreInUse,
  StoreUnusable,
  type UserRecord,
} from './store.js';
import { orderedUsers, readUsers, writeUsers } from './user-rows.js';

/**
 * A state store in an SQL database. It keeps a picture of all groups and users in memory, so that reading costs nothing. The revision in the one row of
 * `fabric_state` tells when somebody else has changed something; a writer locks that row first, brings its picture up to date, checks by it,
 * and writes.
 */

/** ms for which the picture counts as up to date where asking is a round trip. */
const FRESH = 200;
const POLL = 500;
/** ms in which what is under way may end when the store is closed: a database that does not answer must not hold up the node. */
const FAREWELL = 3_000;

export function createSqlStore(database: SqlDatabase): Store {
  const table = createGroupTable();
  const picture = createPicture(table, database);
  const exclusive = createQueue();
  const relaxed = <T>(work: Work<T>) => exclusive(() => database.write(work, true));
  /** So that what came over many sockets at once is written together, also where a write waits for nothing. */
  const gathered = async <T>(work: Work<T>) => {
    await nextTurn();
    return relaxed(work);
  };
  const log = createReportLog(gathered);
  const decisions = createDecisionLog(relaxed);
  let refreshing: Promise<void> | undefined;
  let poll: NodeJS.Timeout | undefined;

  const fresh = async () => {
    if (picture.isFresh()) return;
    refreshing ??= exclusive(picture.refresh).finally(() => {
      refreshing = undefined;
    });
    await refreshing;
  };
  /** A transaction that changes the state. One that fails may be stored all the same: who looks next asks the database. */
  const written = async <T>(work: Work<T>): Promise<T> => {
    try {
      return await database.write(async session => {
        await picture.catchUp(session, database.dialect.forUpdate);
        return await work(session);
      });
    } catch (error) {
      picture.doubt();
      throw error;
    }
  };
  /** Writes what `plan` makes of the newest state; `previous` and `next` are undefined where there is no such group. */
  const change = <N extends GroupRecord | undefined>(plan: () => { previous: GroupRecord | undefined; next: N }) =>
    exclusive(async () => {
      const { previous, next } = await written(async session => {
        const planned = plan();
        await writeGroup(session, planned.previous, planned.next);
        return planned;
      });
      table.replace(previous, next);
      return next;
    });
  const changeUsers = (plan: (users: readonly UserRecord[]) => readonly UserRecord[]) =>
    exclusive(async () => {
      picture.users = await written(async session => {
        const next = orderedUsers(plan(picture.users));
        await writeUsers(next, session);
        await countChange(session);
        return next;
      });
      table.replace(undefined, undefined);
    });

  /** @param signal ends it, and leaves nothing open. */
  const opening = async (signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> => {
    const giveUp = () => void database.close();
    signal?.addEventListener('abort', giveUp);
    try {
      await exclusive(async () => {
        signal?.throwIfAborted();
        await database.open();
        await work();
        signal?.throwIfAborted();
      });
    } catch (cause) {
      signal?.throwIfAborted();
      throw cause instanceof StoreInUse ? cause : new StoreUnusable(messageOf(cause), { cause });
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  };

  const { home } = database;
  return {
    ...(home && { home: () => exclusive(() => database.look(home)) }),
    get revision() {
      return Math.max(table.revision, database.revision?.() ?? 0);
    },
    async open(signal) {
      await opening(signal, async () => {
        await database.alter(session => migrate(session, database.dialect));
        await picture.refresh();
      });
      poll = setInterval(() => void fresh().catch(() => {}), POLL).unref();
    },
    async close() {
      clearInterval(poll);
      const late = setTimeout(() => void database.close(), FAREWELL);
      await exclusive(() => database.close()).finally(() => clearTimeout(late));
    },
    claim: (lost, signal) => opening(signal, () => database.claim(lost)),
    async groups() {
      await fresh();
      return table.all();
    },
    async group(id) {
      await fresh();
      return table.get(id);
    },
    async groupOfServer(server) {
      await fresh();
      return table.ofServer(typeof server === 'string' ? server : addressKey(server));
    },
    createGroup: group =>
      change(() => {
        if (table.get(group.id)) throw new StoreConflict(`group ${group.id} exists already`);
        return { previous: undefined, next: table.next(group) };
      }),
    saveGroup: group => change(() => ({ previous: table.current(group.id, group.version), next: table.next(group) })),
    async deleteGroup(id, version) {
      await change(() => ({ previous: table.current(id, version), next: undefined }));
    },
    async addReport(report, since) {
      await fresh();
      return table.ofServer(report.server) ? log.add(report, since) : NO_REPORTS;
    },
    countReports: (server, since) => exclusive(() => database.look(session => countReports(server, since, session))),
    forgetReports: server => relaxed(session => forgetReports(server, session)),
    saveRun: run => exclusive(() => database.write(session => writeRun(run, session))),
    noteRun: createBatches(gathered<void>, insertEndedRuns),
    run: uuid => exclusive(() => database.look(session => readRun(uuid, session))),
    unfinishedRuns: () =>
      exclusive(() =>
        database.look(async session => {
          const rows = await session.query('SELECT * FROM fabric_procedures WHERE ended IS NULL ORDER BY seq');
          return rows.map(runOf);
        }),
      ),
    addDecision: decisions.add,
    decisions: (group, limit) => exclusive(() => database.look(session => decisions.latest(group, limit, session))),
    addCounts: counts => relaxed(session => addCounts(counts, session)),
    counts: kind => exclusive(() => database.look(session => readCounts(kind, session))),
    get users() {
      return picture.users;
    },
    changeUsers,
  };
}

/** One at a time, in the order of the calls. */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let tail: Promise<unknown> = Promise.resolve();
  return work => {
    const result = tail.then(work);
    tail = result.catch(() => {});
    return result;
  };
}

/** Keeps the table and the users like the database. */
function createPicture(table: GroupTable, database: SqlDatabase) {
  let removals = 0;
  let users: readonly UserRecord[] = [];
  let checkedAt = Number.NEGATIVE_INFINITY;

  const isBehind = async (session: SqlSession) => {
    const [row] = await session.query('SELECT revision FROM fabric_state WHERE id = 1');
    return Number(row?.revision) !== table.revision;
  };
  /** In a transaction; `lock` makes other writers wait. */
  const catchUp = async (session: SqlSession, lock: string) => {
    const [state] = await session.query(`SELECT revision, removals FROM fabric_state WHERE id = 1${lock}`);
    if (!state) throw new Error('The state store has no tables.');
    const revision = Number(state.revision);
    if (revision === table.revision) return;
    // A database that was emptied or restored has gone back: nothing of the picture is sure then.
    const wentBack = revision < table.revision;
    const changed = await changedGroups(wentBack ? 0 : table.revision, session);
    const gone = Number(state.removals) === removals && !wentBack ? [] : await goneGroups(table, session);
    users = await readUsers(session);
    table.load(changed, gone, revision);
    removals = Number(state.removals);
  };

  return {
    catchUp,
    get users() {
      return users;
    },
    set users(next) {
      users = next;
    },
    isFresh() {
      if (database.revision) return database.revision() === table.revision;
      return performance.now() - checkedAt < FRESH;
    },
    doubt() {
      checkedAt = Number.NEGATIVE_INFINITY;
    },
    async refresh() {
      const began = performance.now();
      if (await database.look(isBehind)) await database.read(session => catchUp(session, ''));
      checkedAt = began;
    },
  };
}

async function changedGroups(since: number, session: SqlSession): Promise<GroupRecord[]> {
  const groups = await session.query(`SELECT ${GROUP_COLUMNS} FROM fabric_groups WHERE version > ?`, [since]);
  const servers = new Map<string, ServerRecord[]>(groups.map(({ id }) => [String(id), []]));
  for (const row of await serversOf(since, session))
    servers.get(String(row.group_id))?.push(Object.freeze(serverOf(row)));
  return groups.map(row => Object.freeze(groupOf(row, Object.freeze(servers.get(String(row.id)) ?? []))));
}

function serversOf(since: number, session: SqlSession): Promise<readonly Row[]> {
  const changed = 'SELECT id FROM fabric_groups WHERE version > ?';
  return session.query(`SELECT ${SERVER_COLUMNS} FROM fabric_servers WHERE group_id IN (${changed}) ORDER BY uuid`, [
    since,
  ]);
}

async function goneGroups(table: GroupTable, session: SqlSession): Promise<string[]> {
  const rows = await session.query('SELECT id FROM fabric_groups');
  const present = new Set(rows.map(({ id }) => String(id)));
  return table.all().flatMap(({ id }) => (present.has(id) ? [] : [id]));
}

async function writeGroup(session: SqlSession, previous?: GroupRecord, next?: GroupRecord): Promise<void> {
  if (previous) await removeGroup(previous, session);
  if (next) await insertGroup(next, session);
  const kept = new Set(next?.servers.map(({ uuid }) => uuid));
  for (const { uuid } of previous?.servers ?? []) {
    if (!kept.has(uuid)) await forgetReports(uuid, session);
  }
  if (!next)
    await session.execute("DELETE FROM fabric_counts WHERE kind = 'group' AND subject = ?", [previous?.id ?? '']);
  await countChange(session, next ? '' : ', removals = removals + 1');
}

async function countChange(session: SqlSession, more = ''): Promise<void> {
  await session.execute(`UPDATE fabric_state SET revision = revision + 1${more} WHERE id = 1`);
}

async function removeGroup({ id }: GroupRecord, session: SqlSession): Promise<void> {
  await session.execute('DELETE FROM fabric_servers WHERE group_id = ?', [id]);
  await session.execute('DELETE FROM fabric_groups WHERE id = ?', [id]);
}

async function insertGroup(group: GroupRecord, session: SqlSession): Promise<void> {
  await session.execute(
    `INSERT INTO fabric_groups (${GROUP_COLUMNS}) VALUES ${places(GROUP_COLUMNS, 1)}`,
    groupRow(group),
  );
  const rows = group.servers.map(server => serverRow(group.id, server));
  if (rows.length === 0) return;
  await session.execute(
    `INSERT INTO fabric_servers (${SERVER_COLUMNS}) VALUES ${places(SERVER_COLUMNS, rows.length)}`,
    rows.flat(),
  );
}

const messageOf = (cause: unknown) => (cause instanceof Error && cause.message !== '' ? cause.message : String(cause));
