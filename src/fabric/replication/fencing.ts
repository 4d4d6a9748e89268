/** Keeping writes away from a server, and letting them in again. Nothing here writes to the binary log, so no server gets GTIDs of its own. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Dialect } from './dialect.js';
import { isAnswer, LOCK_WAIT_SECONDS, lateError, nameOf, POLL_MS, type Row, type Session, text } from './session.js';

/** Whether the server refuses writes as far as its version can. */
export async function isFenced(session: Session, dialect: Dialect): Promise<boolean> {
  const [row] = await session.run(`SELECT @@GLOBAL.${readOnlyVariable(dialect)} AS value`);
  return Number(row?.value) === 1;
}

/**
 * Makes the server refuse writes; open transactions fail when they commit. Clients whose statements or table locks hold the switch up get
 * LOCK_WAIT_SECONDS, then all clients are killed. Without `super_read_only` they are killed in any case, because those with SUPER could go on.
 */
export async function fence(session: Session, dialect: Dialect): Promise<void> {
  const giveUp = performance.now() + session.timeout + LOCK_WAIT_SECONDS * 1000;
  while (!(await switchReadOnlyOn(session, dialect))) {
    const where = nameOf(session.address);
    if (performance.now() > giveUp)
      throw lateError(session, `${where} did not become read-only: clients that were killed hold locks still.`);
    session.log?.warn(
      `Clients of ${where} kept it from becoming read-only for ${LOCK_WAIT_SECONDS} s: all are killed.`,
    );
    await endClients(session);
  }
  if (!dialect.superReadOnly) await endAllClients(session);
}

/** Lets the server accept writes. */
export async function unfence(session: Session, dialect: Dialect): Promise<void> {
  if (dialect.superReadOnly) await session.run('SET GLOBAL super_read_only = OFF');
  await session.run('SET GLOBAL read_only = OFF');
}

/**
 * Kills every client connection but replication's, the system's and the administrative account's own, and waits within the session's timeout
 * until they are in no statement: a killed session may still finish the one that it is in.
 */
export async function endClients(session: Session): Promise<{ readonly killed: number; readonly left: number }> {
  const giveUp = performance.now() + session.timeout;
  const killed = new Set<number>();
  for (const row of await session.run('SHOW PROCESSLIST')) {
    if (isClient(row, session.account.user) && (await kill(session, Number(row.Id)))) killed.add(Number(row.Id));
  }
  let left = killed.size;
  while (left > 0 && performance.now() < giveUp) {
    left = (await session.run('SHOW PROCESSLIST')).filter(row => killed.has(Number(row.Id)) && !isOver(row)).length;
    if (left > 0) await sleep(POLL_MS);
  }
  return { killed: killed.size, left };
}

/** In no statement, and getting into none any more: 5.6 leaves some that it has killed waiting until `wait_timeout` for what will not come. */
function isOver(row: Row): boolean {
  return text(row.Command) === 'Killed' && text(row.Info) === '';
}

/** For servers that have no other means: here a session that does not end is no fence. */
async function endAllClients(session: Session): Promise<void> {
  const { left } = await endClients(session);
  if (left === 0) return;
  throw lateError(
    session,
    `${nameOf(session.address)} is read-only, but ${left} killed sessions, which might have SUPER, have not ended.`,
  );
}

/** @returns false when a client's statement or lock was in the way for LOCK_WAIT_SECONDS. */
async function switchReadOnlyOn(session: Session, dialect: Dialect): Promise<boolean> {
  try {
    await session.run(`SET GLOBAL ${readOnlyVariable(dialect)} = ON`, [], { extra: LOCK_WAIT_SECONDS * 1000 });
    return true;
  } catch (error) {
    if (isAnswer(error, 'ER_LOCK_WAIT_TIMEOUT')) return false;
    throw error;
  }
}

function readOnlyVariable(dialect: Dialect): string {
  return dialect.superReadOnly ? 'super_read_only' : 'read_only';
}

/** One that has not said yet who it is may be the node's own, and is as good as one that comes later. */
const SYSTEM_USERS = ['system user', 'event_scheduler', 'unauthenticated user'];
const SYSTEM_COMMANDS = ['Daemon', 'Binlog Dump', 'Binlog Dump GTID'];

function isClient(row: Row, ownUser: string): boolean {
  const user = text(row.User);
  return user !== ownUser && !SYSTEM_USERS.includes(user) && !SYSTEM_COMMANDS.includes(text(row.Command));
}

async function kill(session: Session, id: number): Promise<boolean> {
  try {
    await session.run(`KILL CONNECTION ${id}`);
    return true;
  } catch (error) {
    // Above our rank (SYSTEM_USER): `super_read_only` stops it all the same, and servers without that have no such accounts.
    if (isAnswer(error, 'ER_KILL_DENIED_ERROR'))
      session.log?.warn(`May not kill connection ${id} of ${nameOf(session.address)}.`);
    else if (!isAnswer(error, 'ER_NO_SUCH_THREAD')) throw error;
    return false;
  }
}
