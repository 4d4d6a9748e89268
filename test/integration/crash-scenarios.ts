import type { GroupRecord, ServerRecord } from '../../src/fabric/store/store.js';
import { STATUS_FAULTY, STATUS_PRIMARY, STATUS_SECONDARY, STATUS_SPARE } from '../../src/wire/topology.js';
import type { CrashCluster, Wanted } from './crash-cluster.js';
import type { Call, Plan } from './crash-process.js';
import { GROUP, until } from './ha-group.js';

/** What a node is killed in: every procedure, in each way it can go. The servers are called P, S1, S2 and N, as in `CrashCluster`. */

export interface Scenario extends Wanted {
  readonly name: string;
  /** Brings the group where the procedure begins. */
  prepare?(cluster: CrashCluster): Promise<void>;
  call(cluster: CrashCluster): Promise<Call> | Call;
  /** In place of the call: what happens to the servers, and the procedure that the node runs then by itself. */
  readonly event?: { readonly procedure: string; happens(cluster: CrashCluster): Promise<void> };
  /** What goes wrong in it, so that it is taken back. */
  failure?(cluster: CrashCluster): NonNullable<Plan['failure']>;
  /** Whether the procedure has had its effect: a run that is recorded as done has, one that failed has not. */
  effect?(group: GroupRecord, cluster: CrashCluster): boolean;
  /** Brings the group back to a primary with two secondaries. */
  settle?(cluster: CrashCluster): Promise<void>;
}

const statusOf = (group: GroupRecord, { port }: { port: number }) =>
  group.servers.find(server => server.port === port)?.status;
const isPrimary = (group: GroupRecord, { port }: { port: number }) =>
  group.servers.some(server => server.port === port && server.uuid === group.primary);
const replaced = (group: GroupRecord, cluster: CrashCluster) => !isPrimary(group, cluster.role('P'));

/** Those that are back are made secondaries again. */
async function repair(cluster: CrashCluster): Promise<void> {
  const inNeed = ({ status }: ServerRecord) => status !== STATUS_PRIMARY && status !== STATUS_SECONDARY;
  for (const { status, uuid, port } of (await cluster.stored()).servers.filter(inNeed)) {
    await cluster.serverOf(port).start();
    if (status === STATUS_FAULTY) await cluster.do('server.set_status', uuid, 'SPARE');
    await cluster.do('server.set_status', uuid, 'SECONDARY');
  }
}

async function promoteAgain(cluster: CrashCluster): Promise<void> {
  if ((await cluster.stored()).primary === null) await cluster.do('group.promote', GROUP);
}

async function removeNewcomer(cluster: CrashCluster): Promise<void> {
  const { port, address } = cluster.role('N');
  if ((await cluster.stored()).servers.some(server => server.port === port))
    await cluster.do('group.remove', GROUP, address);
  await cluster.role('N').reset();
}

const killPrimary = (cluster: CrashCluster) => cluster.role('P').kill();
const addNewcomer = async (cluster: CrashCluster) =>
  void (await cluster.do('group.add', GROUP, cluster.role('N').address));
const reportSecondary = async (cluster: CrashCluster) =>
  void (await cluster.do('threat.report_failure', cluster.role('S1').address, 'test', 'test'));

/** The primary is dead and known to be, and nobody has taken over yet. */
async function losePrimary(cluster: CrashCluster): Promise<void> {
  await killPrimary(cluster);
  await cluster.do('threat.report_failure', cluster.role('P').address, 'test', 'killed', true);
}

/** The primary is dead, and another one has taken over. */
async function replacePrimary(cluster: CrashCluster): Promise<void> {
  await killPrimary(cluster);
  await cluster.do('threat.report_failure', cluster.role('P').address);
}

const promoteS1 = (cluster: CrashCluster): Call => ['group.promote', GROUP, cluster.role('S1').address];
const promoteBest = (): Call => ['group.promote', GROUP];

const PROMOTIONS: readonly Scenario[] = [
  { name: 'group.promote, a switchover', call: promoteBest, effect: replaced },
  {
    name: 'group.promote, a switchover to a spare',
    prepare: async cluster => void (await cluster.do('server.set_status', cluster.role('S1').address, 'SPARE')),
    call: promoteS1,
    effect: replaced,
    settle: repair,
  },
  {
    name: 'group.promote, a failover',
    prepare: losePrimary,
    call: promoteBest,
    effect: replaced,
    settle: repair,
  },
  {
    name: 'group.promote, of a group without a primary',
    async prepare(cluster) {
      await cluster.do('group.demote', GROUP);
      // By uuid it would be P or S1, and the points would have other names in the next case.
      for (const role of ['P', 'S2'] as const) await cluster.do('server.set_weight', cluster.role(role).address, 0.5);
    },
    call: promoteBest,
    effect: (group, cluster) => isPrimary(group, cluster.role('S1')),
    async settle(cluster) {
      for (const role of ['P', 'S2'] as const) await cluster.do('server.set_weight', cluster.role(role).address, 1);
    },
  },
  {
    name: 'threat.report_failure of a dead primary',
    prepare: killPrimary,
    call: cluster => ['threat.report_failure', cluster.role('P').address],
    effect: replaced,
    settle: repair,
  },
  {
    name: 'threat.report_failure of a primary that lives',
    call: cluster => ['threat.report_failure', cluster.role('P').address],
    effect: replaced,
    settle: repair,
    faulty: 1,
  },
  {
    name: 'threat.report_failure that only fences the primary',
    call: cluster => ['threat.report_failure', cluster.role('P').address, 'test', 'test', true],
    effect: (group, cluster) => statusOf(group, cluster.role('P')) === STATUS_FAULTY,
    async settle(cluster) {
      await cluster.do('group.promote', GROUP);
      await repair(cluster);
    },
    primary: false,
    faulty: 1,
  },
];

const OTHERS: readonly Scenario[] = [
  {
    name: 'group.demote',
    call: () => ['group.demote', GROUP],
    effect: group => group.primary === null,
    settle: promoteAgain,
    primary: false,
  },
  {
    name: 'group.demote of a FAULTY primary',
    prepare: losePrimary,
    call: () => ['group.demote', GROUP],
    effect: group => group.primary === null,
    async settle(cluster) {
      await promoteAgain(cluster);
      await repair(cluster);
    },
    primary: false,
  },
  {
    name: 'group.add',
    call: cluster => ['group.add', GROUP, cluster.role('N').address],
    effect: (group, cluster) => statusOf(group, cluster.role('N')) === STATUS_SECONDARY,
    settle: removeNewcomer,
  },
  {
    name: 'group.remove',
    prepare: addNewcomer,
    call: cluster => ['group.remove', GROUP, cluster.role('N').address],
    effect: (group, cluster) => statusOf(group, cluster.role('N')) === undefined,
    settle: removeNewcomer,
  },
  {
    name: 'server.set_status, FAULTY to SPARE',
    prepare: reportSecondary,
    call: cluster => ['server.set_status', cluster.role('S1').address, 'SPARE'],
    effect: (group, cluster) => statusOf(group, cluster.role('S1')) === STATUS_SPARE,
    settle: repair,
  },
  {
    name: 'server.set_status, FAULTY to SPARE, of the lost primary',
    async prepare(cluster) {
      await replacePrimary(cluster);
      await cluster.role('P').start();
      // The fence of the server that came back is a run of its own: see the next scenario.
      await until(async () => !(await cluster.stored()).servers.some(({ needsFencing }) => needsFencing));
    },
    call: cluster => ['server.set_status', cluster.role('P').address, 'SPARE'],
    effect: (group, cluster) => statusOf(group, cluster.role('P')) === STATUS_SPARE,
    settle: repair,
  },
  {
    name: 'the fence of a lost primary that came back',
    prepare: replacePrimary,
    call: () => ['manage.ping'],
    event: { procedure: 'fence', happens: cluster => cluster.role('P').start() },
    settle: repair,
    faulty: 1,
  },
  {
    name: 'server.set_status, SECONDARY to SPARE',
    call: cluster => ['server.set_status', cluster.role('S1').address, 'SPARE'],
    effect: (group, cluster) => statusOf(group, cluster.role('S1')) === STATUS_SPARE,
    settle: repair,
  },
  {
    name: 'server.set_status, SPARE to SECONDARY',
    prepare: async cluster => void (await cluster.do('server.set_status', cluster.role('S1').address, 'SPARE')),
    call: cluster => ['server.set_status', cluster.role('S1').address, 'SECONDARY'],
    effect: (group, cluster) => statusOf(group, cluster.role('S1')) === STATUS_SECONDARY,
    settle: repair,
  },
  {
    name: 'the return of a secondary that has restarted',
    call: () => ['group.activate', GROUP],
    event: { procedure: 'reattach', happens: cluster => cluster.role('S1').restart() },
    settle: async cluster => void (await cluster.do('group.deactivate', GROUP)),
  },
  {
    name: 'the return of a primary that has restarted',
    prepare: async cluster => cluster.startReadOnly(true),
    call: () => ['group.activate', GROUP],
    event: { procedure: 'reopen', happens: cluster => cluster.crash(cluster.role('P')) },
    async settle(cluster) {
      cluster.startReadOnly(false);
      await cluster.do('group.deactivate', GROUP);
    },
  },
];

const TAKEN_BACK: readonly Scenario[] = [
  {
    name: 'a switchover that is taken back before the candidate is touched',
    call: promoteS1,
    failure: () => ({ at: 'P killClients after' }),
    effect: replaced,
  },
  {
    name: 'a switchover that is taken back when the candidate is half open',
    call: promoteS1,
    failure: () => ({ at: 'S1 unfence before' }),
    effect: replaced,
  },
  {
    name: 'a switchover that is taken back when the candidate is open',
    call: promoteS1,
    failure: () => ({ at: 'S1 unfence after' }),
    effect: replaced,
  },
  {
    name: 'a switchover that is taken back while the old primary dies',
    call: promoteS1,
    failure: cluster => ({ at: 'S1 unfence before', kills: cluster.role('P').pid }),
    settle: repair,
  },
  {
    name: 'a failover that is taken back',
    prepare: losePrimary,
    call: promoteS1,
    failure: () => ({ at: 'S1 unfence after' }),
    effect: replaced,
    async settle(cluster) {
      await cluster.do('group.promote', GROUP);
      await repair(cluster);
    },
    primary: false,
  },
  {
    name: 'a demotion that is taken back',
    call: () => ['group.demote', GROUP],
    failure: () => ({ at: 'P killClients before' }),
    effect: group => group.primary === null,
    settle: promoteAgain,
    primary: false,
  },
  {
    name: 'an addition that is taken back',
    call: cluster => ['group.add', GROUP, cluster.role('N').address],
    failure: () => ({ at: 'N follow after' }),
    effect: (group, cluster) => statusOf(group, cluster.role('N')) === STATUS_SECONDARY,
    settle: removeNewcomer,
  },
];

export const SCENARIOS: readonly Scenario[] = [...TAKEN_BACK, ...PROMOTIONS, ...OTHERS];
