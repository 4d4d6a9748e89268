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
   * @throws Error from when another node has taken the state.
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
/** ms until a session that did not get the lock asks again. */
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
  let tried: { readonly session: Claimant; readonly at: number } | undefined;
  let tell: ((error: Error) => void) | undefined;
  let lost: Error | undefined;

  const lock = async (session: Claimant, seconds: number): Promise<boolean> => {
    ours.set(session.id, await startOf(session));
    const [row] = await session.query('SELECT GET_LOCK(?, ?) AS locked', [name, seconds]);
    if (Number(row?.locked) !== 1) return false;
    holder = session;
    return true;
  };
  const regain = async (session: Claimant): Promise<void> => {
    if (await lock(session, 0)) return;
    const [row] = await session.query('SELECT IS_USED_LOCK(?) AS id', [name]);
    if (row?.id === null) return;
    const id = Number(row?.id);
    // A server that was restarted counts its sessions anew.
    if (Math.abs((ours.get(id) ?? Number.NaN) - (await startOf(session))) < SAME_START) {
      await session.execute(`KILL ${id}`).catch(() => {});
      await lock(session, PATIENCE);
      return;
    }
    lost = new StoreInUse(`Another node uses the state store ${store} by now: it has taken over from this one.`);
    tell?.(lost);
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
      if (tell && !lost && session !== holder && mayAsk(session)) {
        tried = { session, at: performance.now() };
        await regain(session).catch(() => {});
      }
      if (lost) throw lost;
    },
    forget() {
      holder = tried = tell = lost = undefined;
      ours.clear();
    },
  };

  function mayAsk(session: Claimant): boolean {
    return tried?.session !== session || performance.now() - tried.at >= RETRY;
  }
}
