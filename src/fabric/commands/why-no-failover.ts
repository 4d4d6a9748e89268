import { STATUS_FAULTY, STATUS_SECONDARY, STATUS_SPARE } from '../../wire/topology.js';
import { ended } from '../errors.js';
import { formatAddress } from '../model.js';
import { intervalLeft } from '../procedures/declare-faulty.js';
import type { GroupRecord } from '../store/store.js';
import type { CommandContext } from './define.js';
import type { Finding, Told } from './inspection.js';

/** Why a group whose primary is lost gets no other: each reason a sentence, with what would help. */

export function whyNoFailover(group: GroupRecord, findings: readonly Finding[], context: CommandContext): string[] {
  const primary = findings.find(({ isPrimary }) => isPrimary);
  if (!primary) {
    if (findings.length === 0) return [];
    return [
      `No failover happens: a group without a primary is not given one by itself; 'group.promote ${group.id}' does.`,
    ];
  }
  if (primary.told && primary.server.status !== STATUS_FAULTY)
    return ['No failover is wanted: the primary answers.', ...closed(group, primary.told)];
  const lost = primary.server.status === STATUS_FAULTY ? 'the primary is FAULTY' : 'the primary does not answer';
  return [`A failover is wanted, because ${lost}.`, ...hindrances(group, primary, context), ...candidates(findings)];
}

/** Why a primary that answers may refuse writes. */
function closed({ id, active }: GroupRecord, { identity }: Told): string[] {
  if (!identity.readOnly) return [];
  const restarted = active
    ? 'One that has restarted is opened as soon as every server that is not FAULTY can be asked what it may have lost'
    : `One that has restarted is opened when 'group.activate ${id}' has it watched`;
  return [
    `It refuses writes. ${restarted}; one that was made read-only by hand stays so until that is taken back, or 'group.promote ${id}' gives the writes to another.`,
  ];
}

function hindrances(group: GroupRecord, primary: Finding, context: CommandContext): string[] {
  const { server } = primary;
  const outlook = context.detector.outlook(group.id);
  const left = intervalLeft(server, group, context);
  const doubt = outlook?.doubts.get(server.uuid);
  return [
    ...(group.active
      ? []
      : [
          `It does not happen by itself: the group is not activated. 'threat.report_failure ${server.uuid}' or 'group.activate ${group.id}' starts it.`,
        ]),
    ...(server.byHand && server.status === STATUS_FAULTY
      ? [
          `It does not happen by itself: update_only has declared the primary FAULTY without one. 'group.promote ${group.id}' or 'threat.report_failure ${server.uuid}' starts it.`,
        ]
      : []),
    ...(left > 0
      ? [
          `It waits until ${time(context.now() + left)}: the failover interval of ${context.options.failureTracking.failoverInterval} s protects a primary that took over lately.`,
        ]
      : []),
    ...(outlook?.wait && left === 0
      ? [
          `It waits until ${time(outlook.wait.until)} (back-off after ${outlook.wait.attempts} failed attempts): ${ended(outlook.wait.reason)}`,
        ]
      : []),
    ...(doubt && server.status !== STATUS_FAULTY ? [`What the detector thinks of the primary: ${doubt}.`] : []),
  ];
}

const time = (at: number) => new Date(at).toISOString();

/** Who could take over, and why the others could not. */
function candidates(findings: readonly Finding[]): string[] {
  const others = findings.filter(({ isPrimary }) => !isPrimary);
  if (others.length === 0) return ['There is no candidate: the group has no other server.'];
  const judged = others.map(finding => ({ finding, against: objection(finding) }));
  const able = judged.filter(({ against }) => against === null);
  const refused = judged.filter(({ against }) => against !== null);
  return [
    able.length === 0
      ? 'There is no candidate.'
      : `Candidates are ${able.map(({ finding }) => formatAddress(finding.server)).join(', ')}.`,
    ...refused.map(
      ({ finding, against }) => `${formatAddress(finding.server)} is no candidate: ${ended(against ?? '')}`,
    ),
  ];
}

/** null: none. In the order in which a failover would object. */
function objection({ server, told, problem, errant }: Finding): string | null {
  if (server.status === STATUS_SPARE) return 'it is a SPARE, which is promoted only when it is named';
  if (server.status !== STATUS_SECONDARY)
    return "it is FAULTY; 'server.set_status' makes it a SPARE when it is repaired";
  if (!told) return `it does not answer (${problem})`;
  if (errant) return `it has errant transactions: ${errant}`;
  const { replica } = told;
  if (replica?.sqlThread === 'stopped' && replica.sqlError !== '') return `its applier stopped (${replica.sqlError})`;
  return null;
}
