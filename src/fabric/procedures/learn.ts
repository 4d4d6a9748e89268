import { STATUS_FAULTY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { formatGtidSet, parseGtidSet } from '../replication/gtid.js';
import { errantSince } from './candidates.js';
import { changeGroup, refuseReplaced, requireGroup } from './group-record.js';
import { shortPatience } from './promotion.js';
import type { Procedure, Step } from './run.js';

export type Learning = {
  readonly group: string;
  /** uuid. */
  readonly server: string;
};

/**
 * The primary has transactions that neither it has written nor were there when it was promoted: they came by another channel, from a dump, or with
 * a GTID that an operator has set. Its secondaries have them from it, so they are not errant there when it is lost.
 */
export function learn(request: { group: string; server: string }): Procedure<Learning> {
  return { name: 'learn', group: request.group, data: { ...request }, steps: [learnForeign] };
}

const learnForeign: Step<Learning> = {
  name: 'note the transactions that the primary has from elsewhere',
  async run({ group: id, server: uuid }, context) {
    const { primary, baseline, servers } = await requireGroup(context, id);
    const record = servers.find(server => server.uuid === uuid);
    if (!record || primary !== uuid || record.status === STATUS_FAULTY || baseline === null) return;
    const server = await context.sessions.to(record, shortPatience(context));
    await refuseReplaced(record, server);
    const foreign = errantSince(await server.executed(), uuid, baseline);
    if (foreign === '') return;
    await changeGroup(context, id, stored =>
      stored.primary === uuid && stored.baseline === baseline
        ? { ...stored, baseline: formatGtidSet(parseGtidSet([baseline, foreign].join())) }
        : stored,
    );
    const sentence = `the primary ${uuid} of group ${id} has transactions from elsewhere, which are not errant on its secondaries: ${foreign}`;
    decided(context, { group: id, server: uuid, event: 'status', sentence });
  },
};
