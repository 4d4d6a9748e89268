import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BOUND, CrashCluster } from './crash-cluster.js';
import { type Answer, compileNode } from './crash-process.js';
import { SCENARIOS, type Scenario } from './crash-scenarios.js';

/**
 * A node is killed (SIGKILL) in its procedures, and started again: within 10 s the group is in order, and nothing that was acknowledged is
 * lost. `npm run test:crash` kills it at every point (see crash-node.ts), else it is a few of all.
 */

const ALL = process.env.CRASH_POINTS === 'all';
/** So many groups side by side. */
const LANES = ALL ? 3 : 2;

/** About so many of a list, evenly. */
function aFew<T>(list: readonly T[], count: number): T[] {
  const every = Math.ceil(list.length / count);
  return list.filter((_, at) => at % every === every >> 1);
}

const free: (CrashCluster | undefined)[] = Array.from({ length: LANES });
const waiting: (() => void)[] = [];
let program: Awaited<ReturnType<typeof compileNode>> | undefined;

/** One case on one of the groups. A group in which one failed is not used again. */
async function lend<T>(work: (cluster: CrashCluster) => Promise<T>): Promise<T> {
  while (free.length === 0) await new Promise<void>(resolve => waiting.push(resolve));
  let cluster = free.pop();
  try {
    cluster ??= await CrashCluster.start(program?.file ?? '');
    return await work(cluster);
  } catch (error) {
    await cluster?.stop();
    cluster = undefined;
    throw error;
  } finally {
    free.push(cluster);
    waiting.shift()?.();
  }
}

/** Undefined: it died. */
async function begin(
  scenario: Scenario,
  cluster: CrashCluster,
  crashAt?: string,
  tries = 1,
): Promise<Answer | undefined> {
  const { prepare, event } = scenario;
  await cluster.begin();
  await prepare?.(cluster);
  const call = await scenario.call(cluster);
  const failure = scenario.failure?.(cluster);
  if (event) await cluster.do(...call);
  const answering = cluster.order(event ? { awaits: event.procedure } : { call }, crashAt, failure);
  await event?.happens(cluster);
  const answer = await answering;
  if (answer?.error && event && tries < 3) {
    // It was begun while the server was still on its way down; the one that does it comes later.
    await inOrder(scenario, cluster);
    return begin(scenario, cluster, crashAt, tries + 1);
  }
  if (answer) expect(answer.error === null, `${answer.error}\n${cluster.sentences.join('\n')}`).toBe(!failure);
  return answer;
}

/** The points that it passes when it is left alone. */
async function pointsOf(scenario: Scenario, cluster: CrashCluster): Promise<readonly string[]> {
  const answer = await begin(scenario, cluster);
  await inOrder(scenario, cluster);
  return answer?.labels ?? [];
}

async function inOrder(scenario: Scenario, cluster: CrashCluster, run?: string): Promise<void> {
  await cluster.expectSound(scenario);
  if (run !== undefined) await expectTold(scenario, cluster, run);
  await scenario.settle?.(cluster);
}

/** What the record says of the run is what became of it. One that was a single change of the store leaves that open. */
async function expectTold({ effect }: Scenario, cluster: CrashCluster, uuid: string): Promise<void> {
  const run = await cluster.run(uuid);
  expect(run?.finished).toBe(true);
  if (!effect || run?.error?.startsWith('ProcedureError: The node ended')) return;
  expect(effect(await cluster.stored(), cluster), `recorded: ${run?.error}`).toBe(run?.error === null);
}

/** ms from the start of the next node until all is in order; null: it did not come to that point. */
async function killAt(label: string, scenario: Scenario, cluster: CrashCluster): Promise<number | null> {
  if ((await begin(scenario, cluster, label)) !== undefined) {
    await inOrder(scenario, cluster);
    return null;
  }
  const call = await scenario.call(cluster);
  const name = scenario.event?.procedure ?? call[0];
  const run = (await cluster.unfinished()).find(({ procedure }) => procedure === name);
  const began = performance.now();
  await cluster.startNode();
  // What was not recorded was not begun: who got no answer calls again.
  if (label === `save ${name} #1 before` && !scenario.event) await cluster.do(...call);
  await cluster.expectSound(scenario);
  const ms = performance.now() - began;
  await inOrder(scenario, cluster, run?.uuid);
  expect(ms).toBeLessThan(BOUND);
  return ms;
}

/** Of a node that dies at `first`, the next one dies, too: at some of the points that it passes before it serves. */
async function killTwice(first: string, scenario: Scenario, cluster: CrashCluster): Promise<number> {
  const recover = async (crashAt?: string) => {
    if ((await begin(scenario, cluster, first)) !== undefined) return null;
    const answer = await cluster.startNode(crashAt);
    if (answer === null) await cluster.startNode();
    await inOrder(scenario, cluster);
    return answer;
  };
  const points = (await recover())?.labels ?? [];
  let died = 0;
  for (const second of aFew(points, ALL ? 5 : 1)) died += Number((await recover(second)) === null);
  return died;
}

interface Slowest {
  readonly ms: number;
  readonly label: string;
}

const figures = { kills: 0, missed: 0, failures: 0, slowest: 0 };

/** Goes on after a failure, on another group; a point that is not met is tried again. */
async function each(
  labels: readonly string[],
  scenario: Scenario,
  one: (label: string, cluster: CrashCluster) => Promise<number | null>,
): Promise<{ met: number; slowest: Slowest }> {
  const failures: string[] = [];
  let met = 0;
  let slowest: Slowest = { ms: 0, label: '' };
  for (const label of labels) {
    let ms: number | null = null;
    for (let attempt = 0; ms === null && attempt < 3; attempt += 1) {
      ms = await lend(cluster => one(label, cluster)).catch(error => {
        failures.push(`at '${label}': ${error}`);
        console.error(`${scenario.name}: ${failures.at(-1)}`);
        return 0;
      });
    }
    met += Number(ms !== null);
    if (ms !== null && ms > slowest.ms) slowest = { ms: Math.round(ms), label };
    if (failures.length >= 5) break;
  }
  figures.kills += met;
  figures.missed += labels.length - met;
  figures.failures += failures.length;
  expect(failures, `${scenario.name}:\n${failures.join('\n\n')}`).toEqual([]);
  return { met, slowest };
}

describe('a node that is killed', { timeout: 3_600_000 }, () => {
  beforeAll(async () => {
    program = await compileNode();
  }, 180_000);
  afterAll(async () => {
    await Promise.all(free.map(cluster => cluster?.stop()));
    program?.remove();
    const { kills, missed, failures, slowest } = figures;
    console.log(
      `killed at ${kills} points, ${missed} not met, ${failures} failures; in order after ${slowest} ms at most`,
    );
  });

  const named = SCENARIOS.map(scenario => [scenario.name, scenario] as const);

  test.concurrent.each(named)('in %s: all is in order when it is back', async (_name, scenario) => {
    const points = await lend(cluster => pointsOf(scenario, cluster));
    const chosen = ALL ? points : aFew(points, 2);
    const { met, slowest } = await each(chosen, scenario, (label, cluster) => killAt(label, scenario, cluster));
    figures.slowest = Math.max(figures.slowest, slowest.ms);
    const { ms, label } = slowest;
    console.log(`${scenario.name}: killed at ${met} of ${points.length} points, ${ms} ms at most (${label})`);
    expect(met).toBeGreaterThan(chosen.length * 0.9 - 1);
  });

  test.concurrent.each(ALL ? named : aFew(named, 6))(
    'in %s, and again while it recovers: all is in order in the end',
    async (_name, scenario) => {
      const points = await lend(cluster => pointsOf(scenario, cluster));
      const chosen = aFew(points, ALL ? 3 : 1);
      let died = 0;
      await each(chosen, scenario, async (label, cluster) => {
        died += await killTwice(label, scenario, cluster);
        return 0;
      });
      console.log(`${scenario.name}: killed twice ${died} times`);
    },
  );
});
