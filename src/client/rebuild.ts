import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from '../wire/topology.js';
import { reasonOf } from './abort.js';
import { connectionLost, type Physical } from './physical.js';
import type { Route } from './route.js';
import type { Session } from './session.js';
import type { SessionState } from './session-state.js';
import type { Hold } from './statement.js';
import { connecting, type StatementError, verdict } from './verdict.js';

/** ms before another server is tried. */
const PAUSE = 50;

export interface Rebuilt {
  readonly physical: Physical;
  readonly inTransaction: boolean;
}

/**
 * A connection to a server that is right for the route, with the session made again on it. Making it is bounded by `connectTimeout`, as
 * connecting is; a server that is lost meanwhile is one that could not be reached.
 * @throws as `Session.obtain`, or PROTOCOL_CONNECTION_LOST with the server's refusal as its `cause`.
 */
export async function rebuild(session: Session, state: SessionState, route: Route, hold: Hold): Promise<Rebuilt> {
  for (;;) {
    const physical = await session.obtain(route, hold);
    try {
      const bound = session.config.mysql.connectTimeout ?? 10_000;
      const inTransaction = await state.rebuild(physical, bound, hold.signal);
      return { physical, inTransaction: inTransaction ?? false };
    } catch (error) {
      physical.home.discard(physical);
      if (hold.signal?.aborted) throw reasonOf(hold.signal);
      const { retry } = verdict(error as StatementError, connecting(route.mode));
      if (!retry || performance.now() + PAUSE > hold.deadline) throw notMade(error as Error, physical.server, route);
    }
    session.topologies.forget(route.group);
    await sleep(PAUSE);
  }
}

function notMade(cause: Error, server: Server, { group, mode }: Route): StatementError {
  const where = `${server.host}:${server.port}`;
  const error = connectionLost(`what was set in the session could not be set again on ${where}: ${cause.message}`);
  return Object.assign(error, { cause, fabric: { outcome: 'not-executed', group, mode, server } as const });
}
