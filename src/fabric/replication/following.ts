/** Making a server follow another one, and knowing how far it came. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Dialect } from './dialect.js';
import { fence, isFenced } from './fencing.js';
import { isRunning, sourceUser, toReplicaStatus } from './replica-status.js';
import { type Address, AdminError, type ReplicaStatus, type SemiSync } from './replication.js';
import { lateError, nameOf, POLL_MS, type Row, type Session, text } from './session.js';

/**
 * Seconds of silence after which a replica takes its source for lost. Of a heartbeat every second three are missing by then. That its IO
 * thread leaves `running` is the failure detector's witness that a source is frozen, and it bounds how long stopping that thread can take.
 */
const NET_TIMEOUT_SECONDS = 3;

/** null: not configured as a replica. */
export async function replicaStatus(session: Session, dialect: Dialect): Promise<ReplicaStatus | null> {
  const [row] = await session.run(dialect.status);
  return row ? toReplicaStatus(row) : null;
}

/** Read-only first, then replicate from `source` with auto-positioning; nothing is interrupted when it does so already. */
export async function follow(session: Session, dialect: Dialect, source: Address): Promise<void> {
  // Only a writable server is fenced: on 5.6 fencing cuts all clients, and a new primary must not cost every secondary its readers.
  if (!(await isFenced(session, dialect))) await fence(session, dialect);
  if (await follows(session, dialect, source)) return;
  await stopThreads(session, dialect.stop);
  await session.run(`SET GLOBAL ${dialect.netTimeout} = ${NET_TIMEOUT_SECONDS}`);
  const { user, password } = session.account;
  await session.run(dialect.changeSource, [source.host, source.port, user, password], { secret: true });
  await session.run(dialect.start);
  await untilRunning(session, dialect, source);
}

/**
 * Runs one of the dialect's STOP statements. While a receiver tries to connect to a frozen source, MySQL 8.0 and newer need 2 s to stop it
 * (5.6 does it at once); that must not make the replica look unreachable.
 */
export async function stopThreads(session: Session, statement: string): Promise<void> {
  await session.run(statement, [], { extra: NET_TIMEOUT_SECONDS * 1000 });
}

/** Stops both threads and forgets the source. */
export async function forgetSource(session: Session, dialect: Dialect): Promise<void> {
  await stopThreads(session, dialect.stop);
  await session.run(dialect.forgetSource);
}

/**
 * Whether all of `gtids` is applied, within `ms` or until the applier stops. Polls, because the server's wait functions differ by version:
 * newer ones wait on for a stopped applier, 5.6 refuses without a running one.
 */
export async function waitForExecuted(session: Session, dialect: Dialect, gtids: string, ms: number): Promise<boolean> {
  const giveUp = performance.now() + ms;
  for (;;) {
    // Asked before the set: what a stopped applier has applied by then is all that it will.
    const applier = (await replicaStatus(session, dialect))?.sqlThread ?? 'stopped';
    const [row] = await session.run('SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed) AS done', [gtids]);
    if (Number(row?.done) === 1) return true;
    if (applier === 'stopped' || performance.now() >= giveUp) return false;
    await sleep(POLL_MS);
  }
}

/**
 * A primary waits for acknowledgements, a secondary gives them; both at once would make a secondary's applier wait for its own replicas.
 * Which of the plugins' variables exist tells which are loaded and how this version calls them.
 */
export async function setSemiSync(session: Session, dialect: Dialect, role: 'primary' | 'secondary'): Promise<void> {
  for (const row of await session.run("SHOW GLOBAL VARIABLES LIKE 'rpl\\_semi\\_sync\\_%'")) {
    const variable = text(row.Variable_name);
    const side = SEMI_SYNC_FLAGS[variable];
    const wanted = side === role ? 'ON' : 'OFF';
    if (!side || row.Value === wanted) continue;
    await session.run(`SET GLOBAL ${variable} = ${wanted}`, [], { extra: SEMI_SYNC_SECONDS * 1000 });
    if (side === 'secondary' && wanted === 'ON') await restartReceiver(session, dialect);
  }
}

/** null: its plugins are not loaded. */
export async function semiSync(session: Session): Promise<SemiSync | null> {
  const variables = await session.run("SHOW GLOBAL VARIABLES LIKE 'rpl\\_semi\\_sync\\_%\\_enabled'");
  if (variables.length === 0) return null;
  const isOn = (role?: string) => (row: Row) =>
    row.Value === 'ON' && (!role || SEMI_SYNC_FLAGS[text(row.Variable_name)] === role);
  // With both sides on, which a configuration file may say, a replica acknowledges.
  const on = variables.find(isOn('secondary')) ?? variables.find(isOn());
  const variable = text(on?.Variable_name);
  const role = SEMI_SYNC_FLAGS[variable] ?? 'off';
  const [status] = await session.run('SHOW GLOBAL STATUS WHERE Variable_name = ?', [
    variable.replace(/^rpl/, 'Rpl').replace(/enabled$/, 'status'),
  ]);
  return { role, active: status?.Value === 'ON' };
}

/** Switching the primary's side off waits for its receiver of acknowledgements, which looks up once a second. */
const SEMI_SYNC_SECONDS = 2;

const SEMI_SYNC_FLAGS: Readonly<Record<string, 'primary' | 'secondary'>> = {
  rpl_semi_sync_source_enabled: 'primary',
  rpl_semi_sync_master_enabled: 'primary',
  rpl_semi_sync_replica_enabled: 'secondary',
  rpl_semi_sync_slave_enabled: 'secondary',
};

/** A receiver tells its source only while it connects that it acknowledges. */
async function restartReceiver(session: Session, dialect: Dialect): Promise<void> {
  const status = await replicaStatus(session, dialect);
  if (!status || status.ioThread === 'stopped') return;
  await stopThreads(session, dialect.stopReceiving);
  await session.run(dialect.startReceiving);
}

async function follows(session: Session, dialect: Dialect, source: Address): Promise<boolean> {
  const [row] = await session.run(dialect.status);
  if (!row || !isRunning(toReplicaStatus(row), source) || sourceUser(row) !== session.account.user) return false;
  const [variable] = await session.run(`SELECT @@GLOBAL.${dialect.netTimeout} AS seconds`);
  return Number(variable?.seconds) === NET_TIMEOUT_SECONDS;
}

/** By what each thread of replication says that it does. SHOW REPLICA STATUS knows of the coordinator only, which has read all while workers still apply. */
export async function isIdle(session: Session): Promise<boolean> {
  const threads = (await session.run('SHOW PROCESSLIST')).filter(row => row.User === 'system user');
  const appliers = threads.map(row => text(row.State)).filter(state => !RECEIVES.test(state));
  return appliers.length > 0 && appliers.every(state => WAITS.test(state));
}

const WAITS = /^((Slave|Replica) has read all relay log|Waiting for an event from Coordinator)/;
const RECEIVES =
  /^(Waiting for (master|source) to|Connecting|Checking|Registering|Requesting|Queueing|Waiting to reconnect|Reconnecting)/;

/** Twice in a row, because a source may refuse what the replica asks for after the thread has said that it runs. */
async function untilRunning(session: Session, dialect: Dialect, source: Address): Promise<void> {
  const giveUp = performance.now() + session.timeout;
  for (let seen = 0; seen < 2; ) {
    const status = await replicaStatus(session, dialect);
    const failed = threadError(session, status);
    if (failed) throw failed;
    seen = status && isRunning(status, source) ? seen + 1 : 0;
    if (seen < 2 && performance.now() > giveUp) {
      throw lateError(
        session,
        `${nameOf(session.address)} did not hear from ${nameOf(source)} within ${session.timeout} ms.`,
      );
    }
    if (seen < 2) await sleep(POLL_MS);
  }
}

function threadError({ address }: Session, status: ReplicaStatus | null): AdminError | undefined {
  const because = (what: string, code: string) => new AdminError(`${nameOf(address)} ${what}`, address, code, false);
  if (!status) return because('lost its replication settings', 'REPLICA_NOT_CONFIGURED');
  if (status.ioErrno) return because(`cannot receive (${status.ioErrno}): ${status.ioError}`, 'REPLICA_IO_ERROR');
  if (status.sqlErrno) return because(`cannot apply (${status.sqlErrno}): ${status.sqlError}`, 'REPLICA_SQL_ERROR');
  return undefined;
}
