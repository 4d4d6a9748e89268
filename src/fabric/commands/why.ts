import type { Cell } from '../../wire/reply.js';
import { MODE_NAMES, STATUS_FAULTY, STATUS_NAMES, STATUS_SPARE } from '../../wire/topology.js';
import { ended } from '../errors.js';
import { formatAddress } from '../model.js';
import { place } from '../procedures/by-hand.js';
import { refusesWrites } from '../replication/replication.js';
import type { Decision, GroupRecord, ServerRecord } from '../store/store.js';
import { type CommandContext, column } from './define.js';
import { type Finding, inspectGroup } from './inspection.js';
import { whyNoFailover } from './why-no-failover.js';

/** What `group.why` says. */

export const WHY_COLUMNS = [column('server_uuid', 'string'), column('sentence', 'string')];

const LAST_DECISIONS = 3;

export async function explain(group: GroupRecord, timeout: number, context: CommandContext): Promise<Cell[][]> {
  const [findings, decisions] = await Promise.all([
    inspectGroup(group, timeout, context),
    context.store.decisions(group.id, LAST_DECISIONS),
  ]);
  const aboutGroup = (sentence: string): Cell[] => [null, sentence];
  const rows = [
    aboutGroup(watched(group, context)),
    aboutGroup(primaryOf(group, context.now())),
    ...findings.map(finding => [finding.server.uuid, serverSentence(finding, group)]),
    ...decisions.map(decision => [decision.server, decidedAt(decision)]),
    ...(decisions.length === 0 ? [aboutGroup('Nothing was decided yet.')] : []),
    ...(context.runner.busy(group.id)
      ? [aboutGroup('A procedure of the group is under way: this may change soon.')]
      : []),
    ...whyNoFailover(group, findings, context).map(aboutGroup),
  ];
  return saidOnce(errorsOf(findings), rows);
}

/** What is so short is said again. */
const SHORT = 40;

function errorsOf(findings: readonly Finding[]): string[] {
  const errors = findings.flatMap(({ told }) => [told?.replica?.ioError ?? '', told?.replica?.sqlError ?? '']);
  return [...new Set(errors)].filter(error => error.length > SHORT);
}

/** A server's error may be in its own sentence, in decisions, and in why it is no candidate: the first of them has it. */
function saidOnce(errors: readonly string[], rows: Cell[][]): Cell[][] {
  const said = new Set<string>();
  const shortened = (sentence: string, error: string) => {
    const [before = '', ...after] = sentence.split(error);
    if (after.length === 0) return sentence;
    const first = said.has(error) ? SAME : error;
    said.add(error);
    return `${before}${first}${after.join(SAME)}`;
  };
  return rows.map(([server = null, sentence]) => [server, errors.reduce(shortened, String(sentence))]);
}

const SAME = 'the same error as above';

function watched({ id, active }: GroupRecord, { options }: CommandContext): string {
  const { detections, detectionInterval } = options.failureTracking;
  return active
    ? `Group ${id} is activated: its servers are looked at every ${round(detectionInterval / detections)} s, and ${detections} failures in a row are enough.`
    : `Group ${id} is not activated: nobody watches its servers, and only reports or commands change its primary.`;
}

function primaryOf({ primary, primarySince, servers }: GroupRecord, now: number): string {
  const record = servers.find(({ uuid }) => uuid === primary);
  if (!record) return servers.length === 0 ? 'It has no servers.' : 'It has no primary: group.promote makes one.';
  const since = primarySince === null ? '' : `, since ${time(primarySince)} (${round((now - primarySince) / 1_000)} s)`;
  const untouched = record.byHand && record.status !== STATUS_FAULTY;
  const waits = `The store alone was told so, by update_only: the node leaves the servers as they are until ${place(true)}, or the next command.`;
  return `Its primary is ${named(record)}${since}.${untouched ? ` ${waits}` : ''}`;
}

const named = (server: ServerRecord) => `server ${server.uuid} (${formatAddress(server)})`;
const round = (seconds: number) => String(Math.round(seconds * 10) / 10);
const time = (at: number) => new Date(at).toISOString();

function serverSentence(finding: Finding, group: GroupRecord): string {
  const { server, told, problem } = finding;
  const role = `${formatAddress(server)} is ${STATUS_NAMES[server.status]}, ${MODE_NAMES[server.mode]}`;
  const state = told ? 'it answers' : `it cannot be asked (${problem})`;
  return ended(
    [
      `${role}: ${state}`,
      ...replication(finding, group),
      ...transactions(finding),
      fencing(finding),
      ...byHand(finding),
    ].join(', '),
  );
}

function replication({ told, isPrimary }: Finding, { primary }: GroupRecord): string[] {
  if (!told || isPrimary) return [];
  const { replica } = told;
  if (!replica) return ['follows nobody'];
  const source = replica.sourceUuid === primary ? 'the primary' : formatAddress(replica.source);
  const behind = replica.secondsBehind === null ? '' : ` (${replica.secondsBehind} s behind)`;
  const threads = [
    ...(replica.ioThread === 'running' ? [] : [`its receiver is ${replica.ioThread}${reason(replica.ioError)}`]),
    ...(replica.sqlThread === 'running' ? [] : [`its applier is stopped${reason(replica.sqlError)}`]),
  ];
  return [`follows ${source}${behind}`, ...threads];
}

const reason = (error: string) => (error === '' ? '' : ` (${error})`);

function transactions({ told, isPrimary, missing, errant }: Finding): string[] {
  if (!told || isPrimary) return [];
  if (missing === null && errant === null) return ['what it lacks of the primary is not known'];
  return [
    ...(missing === null ? [] : [missing === '' ? 'lacks nothing of the primary' : `lacks ${missing} of the primary`]),
    ...(errant ? [`has errant transactions ${errant}`] : []),
  ];
}

const RETURNS = ': it is fenced should it come back and accept writes';

function fencing({ server, told, isPrimary }: Finding): string {
  if (server.needsFencing) return 'and is fenced as soon as it can be reached, for it may accept writes';
  if (!told) return `and what it accepts is not known${server.status === STATUS_FAULTY ? RETURNS : ''}`;
  if (isPrimary) return told.identity.readOnly ? 'but refuses writes' : 'and accepts writes';
  if (refusesWrites(told.identity)) return 'and refuses writes';
  return `${server.status === STATUS_SPARE ? 'and' : 'but'} accepts writes`;
}

function byHand({ server, isPrimary }: Finding): string[] {
  if (!server.byHand || isPrimary) return [];
  return [`and is left as it is, by update_only, until ${place(false)}, or the next command about it`];
}

function decidedAt({ at, sentence, by }: Decision): string {
  return `Decided at ${time(at)}, asked for by ${by}: ${ended(sentence)}`;
}
