import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { declareFaulty } from '../../src/fabric/procedures/declare-faulty.js';
import { promote } from '../../src/fabric/procedures/promote.js';
import type { Procedure, Step } from '../../src/fabric/procedures/run.js';
import type { Replication } from '../../src/fabric/replication/replication.js';
import { FaultProxy, type Mysqld, startMysqlds } from '../../src/testing.js';
import { STATUS_PRIMARY } from '../../src/wire/topology.js';
import { GROUP, HaGroup, until } from './ha-group.js';

/** Something happens to a server ahead of a step of a promotion: the group is back in service by itself, and stays so when all is well again. */

const ALL = process.env.CRASH_POINTS === 'all';
/** ms within which the group has a primary that accepts writes, on a busy machine, too. */
const BOUND = 30_000;

/** Whose errors nobody caught once. */
const MISSED = ['the network of the candidate is cut: open the successor for writes'];

type Name = 'old' | 'candidate' | 'other';
type Mishap = (at: Record<Name, Mysqld>, proxies: ReadonlyMap<Mysqld, FaultProxy>) => Promise<void>;

/** Between the node and this server; the other servers still see it. */
const cut =
  (name: Name): Mishap =>
  async (at, proxies) => {
    const proxy = proxies.get(at[name]);
    proxy?.blackhole();
    proxy?.cut();
  };

const ANY_TIME: Readonly<Record<string, Mishap>> = {
  'the candidate dies': async ({ candidate }) => candidate.kill(),
  'the candidate freezes': async ({ candidate }) => candidate.pause(),
  'the network of the candidate is cut': cut('candidate'),
  'the other secondary freezes': async ({ other }) => other.pause(),
  'the network of the other secondary is cut': cut('other'),
};
const SWITCHOVER: Readonly<Record<string, Mishap>> = {
  ...ANY_TIME,
  'the old primary dies': async ({ old }) => old.kill(),
  'the old primary freezes': async ({ old }) => old.pause(),
};
const FAILOVER: Readonly<Record<string, Mishap>> = {
  ...ANY_TIME,
  'the old primary comes back': async ({ old }) => old.start(),
};

const asked = (candidate: string | null) => promote({ group: GROUP, candidate, updateOnly: false });
const lost = (server: string) =>
  declareFaulty({
    ...{ group: GROUP, server, reporter: 'test', error: '', updateOnly: false },
    ...{ respectFailoverInterval: false, believedDead: true },
  });

/** All of its steps: those that come first, and those that these lead to. */
function stepsOf({ steps, rest, data }: Procedure, kind: string): readonly Step[] {
  return [...steps, ...(rest?.({ ...data, kind }) ?? [])];
}

function disturbed(procedure: Procedure, step: string, happens: () => Promise<void>): Procedure {
  const disturb = (one: Step): Step => {
    if (one.name !== step) return one;
    return {
      ...one,
      async run(data, context) {
        await happens();
        await one.run(data, context);
      },
    };
  };
  const { steps, rest } = procedure;
  return { ...procedure, steps: steps.map(disturb), rest: data => (rest?.(data) ?? []).map(disturb) };
}

function casesOf(kind: string, procedure: Procedure, mishaps: Readonly<Record<string, Mishap>>, shift: number) {
  const all = stepsOf(procedure, kind).flatMap(({ name }) =>
    Object.entries(mishaps).map(([what, mishap]) => [what, name, kind, mishap] as const),
  );
  return ALL ? all : all.filter(([what, step], index) => index % 15 === shift || MISSED.includes(`${what}: ${step}`));
}

describe.each([
  ['9.7', 2],
  ['5.6', 6],
] as const)('on MySQL %s', (version, shift) => {
  let servers: Mysqld[];
  let at: Record<Name, Mysqld>;
  let ha: HaGroup;
  const proxies = new Map<Mysqld, FaultProxy>();

  beforeAll(async () => {
    servers = await startMysqlds(3, { version });
    for (const server of servers) proxies.set(server, await FaultProxy.start({ port: server.port }));
    const [old, candidate, other] = servers as [Mysqld, Mysqld, Mysqld];
    at = { old, candidate, other };
  }, 600_000);
  afterAll(async () => {
    await Promise.all([...proxies.values()].map(proxy => proxy.stop()));
    await Promise.all(servers.map(server => server.remove()));
  });
  afterEach(async () => {
    await ha.stop();
    await heal();
  });

  async function heal(): Promise<void> {
    for (const server of servers) if (server.running) server.resume();
    await Promise.all([...proxies.values()].map(proxy => proxy.heal()));
  }

  const wrap = (real: Replication): Replication => ({
    connect(address, timeout) {
      const proxy = [...proxies].find(([server]) => server.port === address.port)?.[1];
      return real.connect(proxy ? { host: proxy.host, port: proxy.port } : address, timeout);
    },
  });

  async function inService(): Promise<boolean> {
    const { primary, servers: records } = await ha.group();
    if (ha.runner.busy(GROUP) || !records.some(one => one.uuid === primary && one.status === STATUS_PRIMARY))
      return false;
    const writable = await ha.writable();
    return writable.some(server => ha.uuid(server) === primary);
  }

  const planned = [
    ...casesOf('switchover', asked(null) as unknown as Procedure, SWITCHOVER, shift),
    ...casesOf('failover', lost('') as unknown as Procedure, FAILOVER, shift),
  ];

  test.each(planned)('%s ahead of "%s" in a %s', { timeout: 120_000 }, async (_what, step, kind, mishap) => {
    ha = new HaGroup(servers, { wrap });
    await ha.form();
    const { old, candidate } = at;
    let happened = false;
    const happens = async () => {
      happened = true;
      await mishap(at, proxies);
    };
    let procedure = asked(ha.uuid(candidate)) as unknown as Procedure;
    if (kind === 'failover') {
      await old.kill();
      procedure = lost(ha.uuid(old)) as unknown as Procedure;
    }
    await ha.change(at.other, { weight: 0.5 });
    const run = ha.runner.run(disturbed(procedure, step, happens));
    ha.watch();
    await run.done;
    expect(happened).toBe(true);
    await until(inService, BOUND).catch(error => {
      throw new Error(`${error}\n${ha.sentences.join('\n')}`);
    });
    await heal();
    await Promise.all(servers.map(server => server.start()));
    await until(async () => (await ha.group()).servers.every(({ needsFencing }) => !needsFencing), BOUND);
    await until(async () => (await inService()) && (await ha.writable()).length === 1, BOUND);
    await ha.expectOnePrimary();
  });
});
