/** What happens to the group while the application runs: its primary is killed, comes back, and takes over again. */
import type { Application } from './application.js';
import type { Cluster, Member } from './cluster.js';
import { lengthOf } from './journal.js';
import { measurePhase, type Phase } from './measure.js';
import { bringBack } from './rejoin.js';
import type { Story } from './story.js';
import { until } from './wait.js';

/** All that takes part. */
export interface Stage {
  readonly cluster: Cluster;
  readonly application: Application;
  readonly story: Story;
  /** Given when the demo has to end early. */
  readonly signal: AbortSignal;
}

/** The longest write pause in an event's time, from its beginning to the beginning of the next. */
export interface Pause {
  readonly event: string;
  readonly ms: number;
  /** What it must stay below. */
  readonly limit: number;
}

export interface Findings {
  readonly phases: readonly Phase[];
  readonly pauses: readonly Pause[];
}

/** ms of load in each phase. */
const LOAD = { before: 4_000, alone: 2_500, together: 3_000, after: 4_000 } as const;

export async function play(stage: Stage): Promise<Findings> {
  const { cluster, application, story, signal } = stage;
  const { journal } = application;
  const phases: Phase[] = [];
  const load = async (phase: string, duration: number): Promise<void> => {
    const measured = await measurePhase(phase, duration, stage);
    phases.push(measured);
    const shares = measured.servers.map(({ name, actual }) => `${name} ${actual.toFixed(1)} %`);
    story.say(`${measured.reads} reads (${phase}): ${shares.join(', ')}`);
  };

  story.heading('The application writes to the primary and reads from the secondaries.');
  await until('the first write', () => journal.acknowledged.length > 0, { signal });
  await load('at first', LOAD.before);

  const lost = await cluster.requirePrimary();
  const killedAt = performance.now();
  await killPrimary(lost, stage);
  await load('with one secondary', LOAD.alone);

  story.heading(`${lost.name} comes back.`);
  const returnedAt = performance.now();
  await bringBack(lost, stage);
  await load('with both again', LOAD.together);

  story.heading(`Planned switchover to ${lost.name}.`);
  const switchedAt = performance.now();
  await switchOver(lost, stage);
  await load('after the switchover', LOAD.after);

  const pause = (event: string, from: number, to: number, limit: number): Pause => ({
    event,
    ms: lengthOf(journal.longestPause(from, to)),
    limit,
  });
  return {
    phases,
    pauses: [
      pause('kill -9 of the primary', killedAt, returnedAt, 3_000),
      pause('return of the old primary', returnedAt, switchedAt, 1_000),
      pause('planned switchover', switchedAt, performance.now(), 1_000),
    ],
  };
}

/** Tells as a timeline what follows, whether it ends well or not. */
async function killPrimary(lost: Member, { cluster, application: { journal }, story, signal }: Stage): Promise<void> {
  story.heading(`kill -9 of the primary ${lost.name} (process ${lost.server.pid}).`);
  story.hold();
  const events: { at: number; text: string }[] = [];
  const happened = (text: string, at = performance.now()): void => {
    events.push({ at, text });
  };
  const killedAt = performance.now();
  happened('kill -9');
  try {
    await lost.server.kill();
    const goneAt = performance.now();
    await until(
      'a new primary',
      async () => {
        const primary = await cluster.primary();
        if (primary === undefined || primary.uuid === lost.uuid) return false;
        happened(`${primary.name} is the primary in the topology`);
        return true;
      },
      { signal, pause: 2, timeout: 15_000 },
    );
    await until('a write', () => journal.acknowledgedSince(goneAt) !== undefined, { signal, pause: 2 });
    happened('first acknowledged write on the new primary', journal.acknowledgedSince(goneAt)?.at);
  } finally {
    const failure = journal.failureSince(killedAt);
    if (failure) happened(`the application's first error: ${failure.text} (${failure.outcome})`, failure.at);
    story.timeline(killedAt, events);
  }
}

async function switchOver(to: Member, { cluster, application: { journal }, story, signal }: Stage): Promise<void> {
  story.hold();
  const begin = performance.now();
  const events = [{ at: begin, text: `group.promote ${to.name}` }];
  try {
    await cluster.promote(to.server);
    const done = performance.now();
    events.push({ at: done, text: 'the command is done' });
    await until('a write', () => journal.acknowledgedSince(done) !== undefined, { signal, pause: 2 });
    const pause = journal.longestPause(begin, performance.now());
    events.push({ at: pause.begin, text: 'last acknowledged write before the longest pause' });
    events.push({
      at: pause.end,
      text: `first acknowledged write after it: ${Math.round(lengthOf(pause))} ms without`,
    });
  } finally {
    story.timeline(begin, events);
  }
}
