import { STATUS_FAULTY } from '../wire/topology.js';
import type { Context } from './context.js';
import type { GroupRecord, ReportCount, ServerRecord } from './store/store.js';
import { reportsCondemn } from './suspicion.js';

/** What clients' reports against a server amount to. Those that have led to a decision about it are forgotten, and do so no second time. */

/**
 * Epoch ms since which reports count: those of the notification interval, and none from before the last change of the primary, which looked
 * at every server of the group.
 */
export function reportsFrom({ primarySince }: GroupRecord, { options, now }: Pick<Context, 'options' | 'now'>): number {
  const interval = options.failureTracking.notificationInterval * 1_000;
  return primarySince === null ? now() - interval : Math.max(now() - interval, primarySince + 1);
}

/** The classic rule: enough reports of enough clients. */
export function condemned(
  count: ReportCount,
  group: GroupRecord,
  server: ServerRecord,
  { options }: Pick<Context, 'options'>,
): boolean {
  // Nothing is left to do for a FAULTY server, unless it still is the primary because no failover has succeeded; where none is wanted, an
  // operator has the next word.
  if (server.status === STATUS_FAULTY && (group.primary !== server.uuid || server.byHand)) return false;
  return reportsCondemn(count, options.failureTracking);
}
