import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Call, CrashCluster, type Order } from './crash-cluster.js';
import { GROUP } from './ha-group.js';

/**
 * A node is killed (SIGKILL) at the boundaries of a procedure's steps, and within steps at calls to servers, and started again: within 10 s
 * the group is in order, and nothing that was acknowledged is lost. With CRASH_EVERY=n in the environment: at every boundary, and at every
 * n-th of the points between; else at a few of all.
 */

const EVERY = Number(process.env.CRASH_EVERY ?? 0);

/** About so many of a list, evenly. */
function aFew<T>(list: readonly T[], count: number): T[] {
  const every = Math.ceil(list.length / count);
  return list.filter((_, at) => at % every === every >> 1);
}

interface Scenario {
  readonly name: string;
  /** Brings the group where the procedure begins. */
  prepare?(cluster: CrashCluster): Promise<void>;
  call(cluster: CrashCluster): Promise<Call>;
  /** What goes wrong in it, so that it is taken back. */
  failure?(cluster: CrashCluster): Promise<Order['failure']>;
  /** Brings the group back to a primary with followers, all of them running. */
  settle?(cluster: CrashCluster): Promise<void>;
  /** false: it may end without a primary. */
  readonly primary?: boolean;
  /** How many servers may be FAULTY although they run. */
  readonly faulty?: number;
}

const uuidOf = async (cluster: CrashCluster, port: number) =>
  (await cluster.stored()).servers.find(server => server.port === port)?.uuid ?? '';

/** Those that are back are made secondaries again. */
async function repair(cluster: CrashCluster): Promise<void> {
  for (const { status, uuid, port } of (await cluster.stored()).servers) {
    await cluster.serverOf(port).start();
    if (status === 0) await cluster.do('server.set_status', uuid, 'SPARE');
    if (status !== 3 && status !== 2) await cluster.do('server.set_status', uuid, 'SECONDARY');
  }
}

async function promoteAgain(cluster: CrashCluster): Promise<void> {
  if ((await cluster.stored()).primary === null) await cluster.do('group.promote', GROUP);
}

async function killPrimary(cluster: CrashCluster): Promise<void> {
  lost = await cluster.primary();
  await lost.kill();
}
let lost: Awaited<ReturnType<CrashCluster['primary']>>;

const SCENARIOS: readonly Scenario[] = [
  { name: 'group.promote, a switchover', call: async () => ['group.promote', GROUP] },
  {
    name: 'threat.report_failure of a dead primary',
    prepare: killPrimary,
    call: async cluster => ['threat.report_failure', await uuidOf(cluster, lost.port)],
    settle: repair,
  },
  {
    name: 'threat.report_failure of a primary that lives',
    call: async cluster => ['threat.report_failure', (await cluster.primary()).address],
    settle: repair,
    faulty: 1,
  },
  {
    name: 'group.promote, a failover',
    async prepare(cluster) {
      await killPrimary(cluster);
      await cluster.do('threat.report_failure', lost.address, 'test', 'killed', true);
    },
    call: async () => ['group.promote', GROUP],
    settle: repair,
  },
  {
    name: 'group.demote',
    call: async () => ['group.demote', GROUP],
    settle: promoteAgain,
    primary: false,
  },
  {
    name: 'group.add',
    call: async cluster => ['group.add', GROUP, cluster.servers.at(-1)?.address],
    async settle(cluster) {
      const added = cluster.servers.at(-1);
      expect((await cluster.stored()).servers.map(({ port }) => port)).toContain(added?.port);
      await cluster.do('group.remove', GROUP, added?.address);
      await added?.reset();
    },
  },
  {
    name: 'group.remove',
    prepare: async cluster => void (await cluster.do('group.add', GROUP, cluster.servers.at(-1)?.address)),
    call: async cluster => ['group.remove', GROUP, cluster.servers.at(-1)?.address],
    async settle(cluster) {
      const removed = cluster.servers.at(-1);
      expect((await cluster.stored()).servers.map(({ port }) => port)).not.toContain(removed?.port);
      await removed?.reset();
    },
  },
  {
    name: 'server.set_status, FAULTY to SPARE',
    prepare: async cluster =>
      void (await cluster.do('threat.report_failure', (await cluster.secondary()).address, 'test', 'test')),
    async call(cluster) {
      const faulty = (await cluster.stored()).servers.find(({ status }) => status === 0);
      return ['server.set_status', faulty?.uuid, 'SPARE'];
    },
    settle: repair,
  },
  {
    name: 'server.set_status, SECONDARY to SPARE',
    call: async cluster => ['server.set_status', (await cluster.secondary()).address, 'SPARE'],
    settle: repair,
  },
];

const candidateFails = async (cluster: CrashCluster) => `${(await cluster.secondary()).port} unfence before`;

const TAKEN_BACK: readonly Scenario[] = [
  {
    name: 'a switchover that is taken back',
    call: async cluster => ['group.promote', GROUP, (await cluster.secondary()).address],
    failure: async cluster => ({ label: await candidateFails(cluster) }),
  },
  {
    name: 'a switchover that is taken back while the old primary dies',
    call: async cluster => ['group.promote', GROUP, (await cluster.secondary()).address],
    async failure(cluster) {
      lost = await cluster.primary();
      return { label: await candidateFails(cluster), kills: lost.pid };
    },
    settle: repair,
  },
  {
    name: 'a demotion that is taken back',
    call: async () => ['group.demote', GROUP],
    failure: async cluster => ({ label: `${(await cluster.primary()).port} killClients before` }),
    settle: promoteAgain,
    primary: false,
  },
];

describe('a node that is killed', () => {
  let cluster: CrashCluster;
  beforeAll(async () => {
    cluster = await CrashCluster.start(4, 1);
  }, 600_000);
  afterAll(() => cluster.stop());

  const named = (scenarios: readonly Scenario[]) => scenarios.map(scenario => [scenario.name, scenario] as const);

  test.each(named([...SCENARIOS, ...TAKEN_BACK]))(
    'in %s: all is in order when it is back',
    { timeout: 1_800_000 },
    async (_name, scenario) => {
      const points = await pointsOf(scenario);
      const took: number[] = [];
      for (const { index, label } of points) {
        const ms = await crash(scenario, index).catch(error => {
          throw new Error(`at point ${index} (${label}): ${error}\n${cluster.sentences.join('\n')}`, { cause: error });
        });
        if (ms !== null) took.push(ms);
      }
      console.log(
        `${scenario.name}: killed at ${took.length} points, back in order after ${Math.round(Math.max(0, ...took))} ms at most`,
      );
      expect(took.length).toBeGreaterThan(0);
    },
  );

  test.each(named([...SCENARIOS.slice(0, 2), ...TAKEN_BACK.slice(0, 2)]))(
    'in %s, and again while it recovers: all is in order in the end',
    { timeout: 1_800_000 },
    async (_name, scenario) => {
      const points = await pointsOf(scenario);
      let died = 0;
      for (const { index } of aFew(points, EVERY > 0 ? 4 : 1)) {
        for (let second = 1, again = true; again && second < 1_000; second += EVERY || 30) {
          if ((await begin(scenario, index)) !== undefined) break;
          again = (await cluster.startNode(second)) === null;
          if (again) await cluster.startNode();
          died += Number(again);
          await cluster.expectSound(scenario);
          await scenario.settle?.(cluster);
        }
      }
      console.log(`${scenario.name}: killed twice ${died} times`);
      expect(died).toBeGreaterThan(0);
    },
  );

  /** Undefined: it died. */
  async function begin({ prepare, call, failure }: Scenario, crashAt = 0): Promise<Answer | undefined> {
    await cluster.mark();
    await prepare?.(cluster);
    const order = await call(cluster);
    const answer = await cluster.order(order, crashAt, await failure?.(cluster));
    if (answer && !failure) expect(answer.error, cluster.sentences.join('\n')).toBeNull();
    return answer;
  }

  /** All boundaries, and some of the points between. */
  async function pointsOf(scenario: Scenario): Promise<{ index: number; label: string }[]> {
    const { labels = [] } = (await begin(scenario)) ?? {};
    await cluster.expectSound(scenario);
    await scenario.settle?.(cluster);
    const points = labels.map((label, at) => ({ index: at + 1, label }));
    if (EVERY > 0) return points.filter(({ index, label }) => label.startsWith('save') || index % EVERY === 0);
    return aFew(points, 3);
  }

  /** ms from the start of the next node until all is in order; null: there are fewer points this time. */
  async function crash(scenario: Scenario, index: number): Promise<number | null> {
    const died = (await begin(scenario, index)) === undefined;
    const began = performance.now();
    if (died) await cluster.startNode();
    // What was not recorded was not begun: who got no answer calls again.
    if (index === 1) await cluster.order(await scenario.call(cluster));
    await cluster.expectSound(scenario);
    const ms = performance.now() - began;
    await scenario.settle?.(cluster);
    if (died) expect(ms).toBeLessThan(10_000);
    return died ? ms : null;
  }
});
