import { createHash } from 'node:crypto';
import type { SqlSession } from './sql-database.js';

/**
 * Which node works on the state: the one whose session holds a lock of the MySQL server. The session may be lost, and the lock with it; so
 * each new one asks for it, and a node that does not get it back says so and goes on, because losing its state must not end it.
 */
export interface Claim {
  /** @throws Error when another node has it. */
  take(session: Claimant, alarm: (sentence: string) => void): Promise<void>;
  /** Before each use of the session. Costs nothing while that holds the lock. Never rejects. */
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
const RETRY = 10_000;

/** One for each database of a server; a lock's name has at most 64 characters, as a database's alone may have. */
export function lockOf(database: string): string {
  return `mysql2-fabric ${createHash('sha256').update(database).digest('hex').slice(0, 40)}`;
}

/** @param server as the sentences name it. */
export function createClaim(database: string, server: string): Claim {
  const name = lockOf(database);
  const store = `${database} on ${server}`;
  let holder: Claimant | undefined;
  let tried: { readonly session: Claimant; readonly at: number } | undefined;
  let tell: ((sentence: string) => void) | undefined;

  const lock = async (session: Claimant, seconds: number): Promise<boolean> => {
    const [row] = await session.query('SELECT GET_LOCK(?, ?) AS locked', [name, seconds]);
    return Number(row?.locked) === 1;
  };
  /** The server may not have noticed that the former session is lost. */
  const endFormer = async (session: Claimant): Promise<boolean> => {
    const [row] = await session.query('SELECT IS_USED_LOCK(?) AS id', [name]);
    if (holder === undefined || Number(row?.id) !== holder.id) return false;
    await session.execute(`KILL ${holder.id}`).catch(() => {});
    return lock(session, PATIENCE);
  };
  const regain = async (session: Claimant): Promise<void> => {
    if ((await lock(session, 0)) || (await endFormer(session))) holder = session;
    else
      tell?.(`Another node uses the state store ${store} by now: stop one of them, for both would change the groups.`);
  };

  const take = async (session: Claimant, alarm: (sentence: string) => void): Promise<void> => {
    if (!(await lock(session, PATIENCE))) throw new Error(`Another node uses the state store ${store}.`);
    holder = session;
    tell = alarm;
  };

  return {
    take,
    async renew(session) {
      if (tell) await take(session, tell);
    },
    async keep(session) {
      if (!tell || session === holder) return;
      if (tried?.session === session && performance.now() - tried.at < RETRY) return;
      tried = { session, at: performance.now() };
      await regain(session).catch(() => {});
    },
    forget() {
      holder = tried = tell = undefined;
    },
  };
}
