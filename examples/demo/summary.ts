/** The verdict: what was promised, what was measured, and whether it held. */
import type { Journal } from './journal.js';
import type { Phase } from './measure.js';
import { deviation } from './read-shares.js';
import type { Findings } from './scenario.js';
import type { Screen } from './screen.js';
import type { Count } from './verify.js';

/** One promise. */
export interface Check {
  readonly promise: string;
  readonly held: boolean;
  readonly measured: string;
}

/** Percentage points that a share may miss its weight by. */
const TOLERANCE = 2;
/** Healthy servers at the end. */
const SERVERS = 3;

export function judge(findings: Findings, counts: readonly Count[], journal: Journal): Check[] {
  return [...counts.map(lostCheck), everyServerCheck(counts), unexpectedCheck(counts), errorCheck(journal)].concat(
    findings.pauses.map(({ event, ms, limit }) => ({
      promise: `longest write pause, ${event}: below ${limit} ms`,
      held: ms < limit,
      measured: `${Math.round(ms)} ms`,
    })),
    findings.phases.map(shareCheck),
    semiSyncCheck(findings.phases),
  );
}

export function printSummary(
  screen: Screen,
  checks: readonly Check[],
  counts: readonly Count[],
  journal: Journal,
): void {
  const [primary] = counts;
  screen.say('');
  screen.say(screen.paint('bold', 'Summary'));
  screen.say(`  acknowledged writes: ${journal.acknowledged.length}`);
  screen.say(`  lost writes: ${primary?.lost.length ?? 'not counted'}`);
  screen.say(
    `  writes in doubt: ${journal.inDoubt.length}, of which found committed: ${primary?.doubtfulFound ?? '?'}`,
  );
  screen.say(`  other errors: ${journal.errors.length}`);
  for (const { promise, held, measured } of checks) {
    const mark = held ? screen.paint('green', 'held    ') : screen.paint('red', 'NOT HELD');
    screen.say(`  ${mark}  ${promise}: ${measured}`);
  }
  const broken = checks.filter(({ held }) => !held).length;
  screen.say('');
  screen.say(broken === 0 ? screen.paint('green', 'All held.') : screen.paint('red', `${broken} did not hold.`));
}

function lostCheck({ server, status, rows, lost }: Count): Check {
  return {
    promise: `no acknowledged write lost, ${server} (${status})`,
    held: lost.length === 0,
    measured: `${lost.length} lost, ${rows} rows${examples(lost)}`,
  };
}

function everyServerCheck(counts: readonly Count[]): Check {
  return {
    promise: 'every server is in service at the end',
    held: counts.length === SERVERS,
    measured: `${counts.length} of ${SERVERS}`,
  };
}

function unexpectedCheck(counts: readonly Count[]): Check {
  const unexpected = [...new Set(counts.flatMap(count => count.unexpected))];
  return {
    promise: 'no write there that was said to have failed',
    held: unexpected.length === 0,
    measured: `${unexpected.length}${examples(unexpected)}`,
  };
}

function errorCheck({ errors }: Journal): Check {
  return {
    promise: 'no error besides writes in doubt',
    held: errors.length === 0,
    measured: `${errors.length}${examples(errors.map(({ of, outcome, text }) => `${of}, ${outcome}, ${text}`))}`,
  };
}

function shareCheck(phase: Phase): Check {
  const shares = phase.servers.map(
    ({ name, weight, expected, actual }) =>
      `${name} (weight ${weight}) ${actual.toFixed(1)} % for ${expected.toFixed(1)} %`,
  );
  return {
    promise: `reads by weight within ${TOLERANCE} points, ${phase.phase}`,
    held: phase.reads > 0 && deviation(phase) <= TOLERANCE,
    measured: `${shares.join(', ')} of ${phase.reads}`,
  };
}

function semiSyncCheck(phases: readonly Phase[]): Check {
  return {
    promise: 'semi-synchronous in each phase, no commit without a secondary',
    held: phases.every(({ semiSync, unacknowledged }) => semiSync && unacknowledged === 0),
    measured: phases
      .map(
        ({ primary, semiSync, unacknowledged }) => `${primary} ${semiSync ? 'on' : 'OFF'}, ${unacknowledged} without`,
      )
      .join('; '),
  };
}

function examples(all: readonly string[]): string {
  if (all.length === 0) return '';
  return ` (${all.slice(0, 3).join('; ')}${all.length > 3 ? '; ...' : ''})`;
}
