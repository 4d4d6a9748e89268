import { createHash } from 'node:crypto';
import type { SqlSession } from './sql-database.js';
import { StoreInUse } from './store.js';

/**
 * Which node works on the state: the one whose session holds a lock of the MySQL server. The session may be lost, and the lock with it; so
 * each new one asks for it. A node that finds another one there changes nothing any more: that one has taken over.
 */
export interface Claim {
  /**
   * @param lost is told when another node has taken the state.
   * @throws Error when another node has it.
   */
  take(session: Claimant, lost: (error: Error) => void): Promise<void>;
  /**
   * Before each use of the session. Costs nothing while that holds the lock.
   * @throws Error while the session must not be used: it could not get the lock; and from when another node has taken the state.
   */
  keep(session: Claimant): Promise<void>;
  /** As `take`, when it was taken before. */
  renew(session: Claimant): Promise<void>;
  forget(): void;
}

/** A session with its number on the server. */
export interface Claimant extends SqlSession {
  readonly id: number;
}

/** Seconds for the session of a node that has just ended, or was ended. */
const PATIENCE = 2;
/** ms until a session that did not get the lock asks again; what it heard holds until then. */
const RETRY = 1_000;

/** Seconds; two answers about the same start differ by one. */
const SAME_START = 5;

/** When its server was started, by that server's clock, in seconds: however that is set, it has counted so long since then. */
async function startOf(session: SqlSession): Promise<number> {
  const [now] = await session.query('SELECT UNIX_TIMESTAMP() AS seconds');
  const [uptime] = await session.query("SHOW GLOBAL STATUS LIKE 'Uptime'");
  return Number(now?.seconds) - Number(uptime?.Value);
}

/** One for each database of a server; a lock's name has at most 64 characters, as a database's alone may have. */
export function lockOf(database: string): string {
  return `mysql2-fabric ${createHash('sha256').update(database).digest('hex').slice(0, 40)}`;
}

/** @param server as the sentences name it. */
export function createClaim(database: string, server: string): Claim {
  const name = lockOf(database);
  const store = `${database} on ${server}`;
  /** The sessions that have asked for the lock, and when their server was started: it may not have noticed yet that a former one is lost. */
  const ours = new Map<number, number>();
  let holder: Claimant | undefined;
  let tried: { readonly session: Claimant; readonly at: number; readonly failed: Failure } | undefined;
  let tell: ((error: Error) => void) | undefined;
  let lost: Error | undefined;

  const lock = async (session: Claimant, seconds: number): Promise<boolean> => {
    ours.set(session.id, await startOf(session));
    const [row] = await session.query('SELECT GET_LOCK(?, ?) AS locked', [name, seconds]);
    if (Number(row?.locked) !== 1) return false;
    holder = session;
    return true;
  };
  const isOurs = async (id: number, session: Claimant): Promise<boolean> =>
    // A server that was restarted counts its sessions anew.
    Math.abs((ours.get(id) ?? Number.NaN) - (await startOf(session))) < SAME_START;
  const regain = async (session: Claimant): Promise<void> => {
    if (await lock(session, 0)) return;
    const [row] = await session.query('SELECT IS_USED_LOCK(?) AS id', [name]);
    const id = row?.id === null ? undefined : Number(row?.id);
    if (id !== undefined && !(await isOurs(id, session))) {
      lost = new StoreInUse(`Another node uses the state store ${store} by now: it has taken over from this one.`);
      tell?.(lost);
      throw lost;
    }
    if (id !== undefined) {
      if (await lingers(id, session)) return;
      await end(id, session);
      if ((await lock(session, PATIENCE)) || (await lingers(id, session))) return;
    }
    if (await lock(session, 0)) return;
    throw new Error(`The state store ${store} cannot be used yet: a former session of this node holds its lock.`);
  };

  const take = async (session: Claimant, whenLost: (error: Error) => void): Promise<void> => {
    if (!(await lock(session, PATIENCE))) throw new StoreInUse(`Another node uses the state store ${store}.`);
    tell = whenLost;
  };

  return {
    take,
    async renew(session) {
      if (tell) await take(session, tell);
    },
    async keep(session) {
      if (tell && !lost && session !== holder) {
        const asked = tried?.session === session && performance.now() - tried.at < RETRY;
        if (!asked) tried = { session, at: performance.now(), failed: await failureOf(regain(session)) };
        if (tried?.failed) throw tried.failed.error;
      }
      if (lost) throw lost;
    },
    forget() {
      holder = tried = tell = lost = undefined;
      ours.clear();
    },
  };
}

type Failure = { readonly error: unknown } | undefined;

async function failureOf(work: Promise<void>): Promise<Failure> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return { error };
  }
}

async function end(id: number, session: Claimant): Promise<void> {
  try {
    await session.execute(`KILL ${id}`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ER_NO_SUCH_THREAD') throw error;
  }
}

/** Killed, and in no statement that might change something yet: 5.6 leaves such a session waiting until `wait_timeout`, with its lock. */
async function lingers(id: number, session: Claimant): Promise<boolean> {
  const found = (await session.query('SHOW PROCESSLIST')).find(row => Number(row.Id) === id);
  return found?.Command === 'Killed' && (found.Info === null || found.Info === '');
}
