import type { RunRecord } from '../store/store.js';
import { type Acceptance, acceptance } from './by-hand.js';
import { type Declaration, declaration } from './declare-faulty.js';
import { type Demotion, demotion } from './demote.js';
import { type Learning, learn } from './learn.js';
import { type Addition, addition, faultyToSpare, type Removal, type Repair, removeServer } from './membership.js';
import { promotion } from './promote.js';
import type { Promotion } from './promotion.js';
import { type Reattachment, reattachment } from './reattach.js';
import { type Reopening, reopening } from './reopen.js';
import type { Data, Procedure } from './run.js';

/** From a recorded run back to its procedure: name and data determine the steps. */

const REBUILD: Readonly<Record<string, (data: Data) => Procedure>> = {
  'group.promote': data => promotion(data as Promotion) as Procedure,
  'group.demote': data => demotion(data as Demotion) as Procedure,
  'group.add': data => addition(data as Addition) as Procedure,
  'group.remove': data => removeServer(data as Removal) as Procedure,
  'server.set_status': data => faultyToSpare(data as Repair) as Procedure,
  'threat.report_failure': data => declaration(data as Declaration) as Procedure,
  reopen: data => reopening(data as Reopening) as Procedure,
  accept: data => acceptance(data as Acceptance) as Procedure,
  learn: data => learn(data as Learning) as Procedure,
  reattach: data => reattachment(data as Reattachment) as Procedure,
};

/**
 * undefined: there is nothing to go on with. Those procedures are a single change of the store, which is done or not, or are begun again by
 * whoever began them; they record no group in their data.
 */
export function rebuild(run: RunRecord): Procedure | undefined {
  const data: unknown = JSON.parse(run.data);
  const known = typeof data === 'object' && data !== null && 'group' in data;
  return known ? REBUILD[run.procedure]?.(data as Data) : undefined;
}
