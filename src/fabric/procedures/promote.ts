import { MODE_READONLY, MODE_READWRITE, STATUS_FAULTY, STATUS_PRIMARY, STATUS_SECONDARY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { phrases } from '../model.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { place } from './by-hand.js';
import { failoverSteps, fenceOnlySteps } from './failover.js';
import { changeGroup, requireGroup, requireServer, withServer } from './group-record.js';
import { newPromotion, type Promotion } from './promotion.js';
import type { Procedure, Step } from './run.js';
import { switchoverSteps } from './switchover.js';

/**
 * `group.promote`: a switchover when the group has a primary that is not FAULTY, else a failover (also a new group's first promotion).
 * @param request.candidate uuid or `host:port`; null: the most advanced secondary.
 */
export function promote(request: {
  group: string;
  candidate: string | null;
  updateOnly: boolean;
}): Procedure<Promotion> {
  const { group, candidate, updateOnly } = request;
  return promotion(newPromotion(group, { asked: candidate || null, updateOnly }));
}

export function promotion(data: Promotion): Procedure<Promotion> {
  return { name: 'group.promote', group: data.group, data, steps: [decide], rest: ({ kind }) => STEPS[kind] };
}

const decide: Step<Promotion> = {
  name: 'decide between switchover and failover',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const old = group.servers.find(({ uuid }) => uuid === group.primary);
    data.old = old?.uuid ?? null;
    if (data.updateOnly) data.kind = 'store only';
    else data.kind = old && old.status !== STATUS_FAULTY ? 'switchover' : 'failover';
    const what = data.updateOnly ? 'changes the store only' : `is a ${data.kind}`;
    const sentence = `group.promote of group ${group.id} ${what}, for ${describePrimary(old)}`;
    decided(context, { group: group.id, server: data.old, event: 'candidate', sentence });
  },
};

function describePrimary(old: ServerRecord | undefined): string {
  if (!old) return 'it has no primary';
  return `its primary ${old.uuid} is ${old.status === STATUS_FAULTY ? 'FAULTY' : 'in service'}`;
}

/** No server is touched or asked: for operators who have done the work themselves, or will; until then the node leaves the group's servers alone. */
const updateStore: Step<Promotion> = {
  name: 'change the primary in the state store only',
  async run(data, context) {
    const { asked, old } = data;
    if (asked === null) {
      throw new CommandError('ProcedureError', phrases.updateOnlyNeedsCandidate());
    }
    const { primary } = await changeGroup(context, data.group, group => {
      const candidate = requireServer(group, asked);
      // Done before the node was killed.
      if (candidate.uuid === group.primary && candidate.uuid !== old) return group;
      return replaced(group, candidate, context.now());
    });
    const sentence = `server ${primary} is the primary of group ${data.group} in the state store; no server was touched, and none is until ${place(true)}, or the next command`;
    decided(context, { group: data.group, server: primary, event: 'promoted', sentence });
  },
};

function replaced(group: GroupRecord, candidate: ServerRecord, now: number): GroupRecord {
  const refuse = (reason: string) => new CommandError('ServerError', reason);
  if (candidate.uuid === group.primary) throw refuse(phrases.alreadyPrimary(candidate.uuid));
  if (candidate.status === STATUS_FAULTY) throw refuse(`Server (${candidate.uuid}) is faulty.`);
  const old = group.servers.find(({ uuid, status }) => uuid === group.primary && status === STATUS_PRIMARY);
  const freed = old
    ? withServer(group, old.uuid, { status: STATUS_SECONDARY, mode: MODE_READONLY, byHand: false })
    : group;
  return {
    ...withServer(freed, candidate.uuid, { status: STATUS_PRIMARY, mode: MODE_READWRITE, byHand: true }),
    primary: candidate.uuid,
    primarySince: now,
    baseline: null,
  };
}

const STEPS: Readonly<Record<Promotion['kind'], readonly Step<Promotion>[]>> = {
  undecided: [],
  nothing: [],
  'fence only': fenceOnlySteps,
  switchover: switchoverSteps,
  failover: failoverSteps,
  'store only': [updateStore],
};
