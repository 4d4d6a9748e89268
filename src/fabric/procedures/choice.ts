import { STATUS_FAULTY } from '../../wire/topology.js';
import { CommandError } from '../errors.js';
import { phrases } from '../model.js';
import type { GroupRecord } from '../store/store.js';
import { type Applicant, byPreference, lackedBy, lostByPrimary, owed } from './candidates.js';
import { requireServer } from './group-record.js';
import { noCandidate, type Promotion } from './promotion.js';
import type { Survey } from './survey.js';

/** Who takes over, by what a survey has found. */

export function checkAsked(asked: string, data: Promotion, group: GroupRecord): void {
  const { uuid, status } = requireServer(group, asked);
  if (uuid === data.old) throw new CommandError('ServerError', phrases.alreadyPrimary(uuid));
  if (status === STATUS_FAULTY) throw new CommandError('ServerError', `Server (${uuid}) is faulty.`);
}

export function chooseFreely(data: Promotion, group: GroupRecord, found: Survey): string[] {
  const { valid, excluded } = found;
  const [best] = byPreference(valid);
  const obstacle = divergenceOf(valid, data, group) ?? (best ? savedElsewhere(best, found, data, group) : null);
  const order = obstacle === null ? byPreference(valid).map(({ uuid }) => uuid) : [];
  const reasons = [...excluded.values(), ...(obstacle === null ? [] : [obstacle])];
  const { old, oldExecuted, mayReturn } = data;
  // The lost primary comes last, and only when it answers: it is fenced, and has all that was ever acknowledged.
  if (mayReturn && old && oldExecuted !== null) {
    const sent = [...valid, ...found.donors, ...found.late].map(({ executed }) => executed);
    const lost = lostByPrimary(old, oldExecuted, group.baseline, sent);
    if (lost === '') order.push(old);
    else reasons.push(`Server (${old}) has lost transactions: ${lost}.`);
  }
  if (order.length === 0) throw noCandidate(group.id, reasons);
  return order;
}

/**
 * Where nothing tells which transactions are errant, the one with the most may be the one that has diverged: it is chosen only when it has all
 * that the others have (invariant 2). null: nobody has diverged.
 */
function divergenceOf(valid: readonly Applicant[], { old, oldExecuted }: Promotion, group: GroupRecord): string | null {
  const [best] = byPreference(valid);
  const isKnown = old !== null && (group.baseline ?? oldExecuted) !== null;
  const lacking = best && !isKnown ? lackedBy(best, valid) : [];
  if (!best || lacking.length === 0) return null;
  const held = lacking.map(other => `${other.gtids} of server (${other.uuid})`).join(', ');
  const wayOut = 'Please, report those as failed whose transactions shall be given up.';
  return `The servers have diverged: server (${best.uuid}) has the most transactions, and lacks ${held}. ${wayOut}`;
}

/** Invariant 4: one that was passed over may be the only one that has received what the lost primary has acknowledged. null: it is not. */
function savedElsewhere(
  { uuid, executed }: Applicant,
  { valid, donors, late }: Survey,
  { old, inUse }: Promotion,
  { baseline }: GroupRecord,
): string | null {
  const others = inUse ? [] : [...valid, ...donors];
  const handedOn = [executed, ...others.map(other => other.executed)].join();
  const missing = late
    .map(({ uuid: holder, executed: held }) => ({ holder, gtids: owed(held, handedOn, old, baseline) }))
    .filter(({ gtids }) => gtids !== '');
  if (missing.length === 0) return null;
  const held = missing.map(({ holder, gtids }) => `${gtids} of server (${holder})`).join(', ');
  return `Server (${uuid}) lacks what another server alone has received: ${held}. To give it up, please, report that server as failed.`;
}

/** Named by an operator, but never at the price of transactions that another server has saved from a primary that was lost. */
export function chooseAsked(asked: string, data: Promotion, group: GroupRecord, found: Survey): string[] {
  const { valid, excluded } = found;
  const { uuid } = requireServer(group, asked);
  const applicant = valid.find(server => server.uuid === uuid);
  if (!applicant) throw new CommandError('ServerError', excluded.get(uuid) ?? `Server (${uuid}) does not answer.`);
  const saved = savedElsewhere(applicant, found, data, group);
  if (saved !== null) throw new CommandError('ServerError', saved);
  // One in use goes on as it is, and does not get from spares what it lacks.
  const spares = data.inUse && data.old !== null ? found.donors : [];
  const lacking = group.baseline === null ? [] : lackedBy(applicant, [...valid, ...spares]);
  if (lacking.length === 0) return [uuid];
  const held = lacking.map(other => `${other.gtids} of server (${other.uuid})`).join(', ');
  throw new CommandError('ServerError', `Server (${uuid}) lacks transactions that others have: ${held}.`);
}
