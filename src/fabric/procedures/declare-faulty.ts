import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { condemned, reportsFrom } from '../reports.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { failoverSteps, fenceOnlySteps } from './failover.js';
import { changeGroup, requireGroup, requireServer, withServer } from './group-record.js';
import { newPromotion, noCandidate, type Promotion } from './promotion.js';
import type { Procedure, Step, StepContext } from './run.js';

export type Declaration = Promotion & {
  /** uuid or `host:port`. */
  readonly server: string;
  readonly reporter: string;
  readonly error: string;
  readonly respectFailoverInterval: boolean;
  /** Enough clients have reported it: when its turn has come, that must still be so. */
  readonly byReports?: boolean;
};

/**
 * A server is FAULTY, on somebody's word or the detector's evidence. When it is the primary it is fenced if it can be reached, and another
 * one takes over. Declaring a FAULTY primary again tries the failover again.
 */
export function declareFaulty(request: {
  group: string;
  server: string;
  reporter: string;
  error: string;
  updateOnly: boolean;
  respectFailoverInterval: boolean;
  byReports?: boolean;
  /** Evidence says that it is gone: no time is spent on waiting for it. */
  believedDead?: boolean;
}): Procedure<Declaration> {
  const { group, server, reporter, error, updateOnly, respectFailoverInterval } = request;
  const { byReports = false, believedDead = false } = request;
  const promotion = newPromotion(group, { updateOnly, believedDead, automatic: true, mayReturn: true });
  const procedure = declaration({ ...promotion, server, reporter, error, respectFailoverInterval, byReports });
  return byReports ? { ...procedure, once: `reports against ${server}, ${updateOnly}` } : procedure;
}

export function declaration(data: Declaration): Procedure<Declaration> {
  return {
    name: 'threat.report_failure',
    group: data.group,
    data,
    steps: [markFaulty],
    rest: ({ kind, believedDead }) => {
      if (kind === 'failover') return believedDead ? failoverSteps : [...failoverSteps, admitReturn];
      return kind === 'fence only' ? fenceOnlySteps : [];
    },
  };
}

/** Final: whatever becomes of the failover, the word against the server stands. */
export const markFaulty: Step<Declaration> = {
  name: 'mark the server FAULTY',
  final: true,
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const server = requireServer(group, data.server);
    data.kind = 'nothing';
    if (data.byReports && !(await stillCondemned(data, group, server, context))) return;
    if (data.respectFailoverInterval) refuseTooSoon(group, server, context);
    const byHand = data.updateOnly && server.uuid === group.primary;
    await changeGroup(context, data.group, stored =>
      withServer(stored, server.uuid, { status: STATUS_FAULTY, byHand }),
    );
    const waits = byHand ? '; nobody takes over before the next command' : '';
    const sentence = `server ${server.uuid} (${server.host}:${server.port}) of group ${group.id} is FAULTY, says ${data.reporter}: ${data.error}${waits}`;
    decided(context, {
      group: group.id,
      server: server.uuid,
      event: 'faulty',
      level: 'warn',
      by: data.reporter,
      sentence,
    });
    context.store.forgetReports(server.uuid).catch(cause => {
      context.log.error(`the reports against ${server.uuid} could not be forgotten: ${String(cause)}`);
    });
    if (server.uuid !== group.primary) return;
    data.old = server.uuid;
    data.kind = data.updateOnly ? 'fence only' : 'failover';
  },
};

/** Of a primary that is FAULTY nobody asks again: a killed node may have marked it, and forgotten the reports. */
async function stillCondemned(
  { updateOnly }: Declaration,
  group: GroupRecord,
  server: ServerRecord,
  context: StepContext,
): Promise<boolean> {
  if (server.uuid === group.primary && server.status === STATUS_FAULTY) return updateOnly || !server.byHand;
  const count = await context.store.countReports(server.uuid, reportsFrom(group, context));
  return condemned(count, group, server, context);
}

/** Nobody else could take over from a server that answers: better reported than left out, but not what was asked for. */
const admitReturn: Step<Declaration> = {
  name: 'check that another server has taken over',
  async run({ group, chosen, old }) {
    if (chosen !== old) return;
    throw noCandidate(group, [`Server (${old}) answers, has all transactions and takes the writes again.`]);
  },
};

/** `failover_interval`: a primary may not be replaced again so soon, however bad it looks. */
function refuseTooSoon(group: GroupRecord, server: ServerRecord, context: StepContext): void {
  if (intervalLeft(server, group, context) === 0) return;
  const age = (context.now() - (group.primarySince ?? 0)) / 1000;
  const { failoverInterval } = context.options.failureTracking;
  const sentence = `Server (${server.uuid}) became primary ${Math.floor(age)} s ago and the failover interval is ${failoverInterval} s.`;
  throw new CommandError('ServerError', `${sentence} It is not replaced yet.`);
}

/** ms for which `failover_interval` still protects this server; 0: it does not, or it is not the primary. */
export function intervalLeft(
  { uuid, status }: ServerRecord,
  { primary, primarySince }: GroupRecord,
  { options, now }: Pick<Context, 'options' | 'now'>,
): number {
  if (uuid !== primary || primarySince === null || status === STATUS_FAULTY) return 0;
  return Math.max(0, primarySince + options.failureTracking.failoverInterval * 1000 - now());
}
