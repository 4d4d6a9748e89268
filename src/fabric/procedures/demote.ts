import { MODE_READONLY, STATUS_FAULTY, STATUS_PRIMARY, STATUS_SECONDARY } from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { phrases } from '../model.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { changeGroup, requireGroup, requireServer, withServer } from './group-record.js';
import { CATCH_UP, describe, patience } from './promotion.js';
import type { Procedure, Step, StepContext } from './run.js';

export type Demotion = {
  readonly group: string;
  readonly updateOnly: boolean;
  before: GroupRecord | null;
  /** The primary that is fenced; null: it is FAULTY, and only forgotten. */
  fenced: string | null;
};

/** `group.demote`: the group is left without a primary. Its servers stay what they are, and follow nobody (unless `updateOnly`). */
export function demote({ group, updateOnly }: { group: string; updateOnly: boolean }): Procedure<Demotion> {
  return demotion({ group, updateOnly, before: null, fenced: null });
}

export function demotion(data: Demotion): Procedure<Demotion> {
  return {
    name: 'group.demote',
    group: data.group,
    data,
    steps: [checkPrimary, blockWrites],
    rest: ({ fenced, updateOnly }) => (fenced === null || updateOnly ? [] : [stopReplication]),
  };
}

const checkPrimary: Step<Demotion> = {
  name: 'check that there is a primary',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const primary = primaryOf(group);
    if (!primary) throw new CommandError('GroupError', phrases.noPrimary(group.id));
    // One that does not answer is no operator's affair but the detector's: nothing is begun, and nothing has to be taken back.
    if (primary.status !== STATUS_FAULTY) await context.sessions.to(primary, patience(context));
    data.before = group;
    data.fenced = primary.status === STATUS_FAULTY ? null : primary.uuid;
  },
};

function primaryOf({ primary, servers }: GroupRecord): ServerRecord | undefined {
  return servers.find(({ uuid }) => uuid === primary);
}

const blockWrites: Step<Demotion> = {
  name: 'block writes on the primary',
  async run(data, context) {
    const { group: id, before } = data;
    const primary = before && primaryOf(before);
    if (!primary) throw new CommandError('GroupError', phrases.noPrimary(id));
    if (data.fenced !== null) await fence(primary, context);
    await changeGroup(context, id, stored => withoutPrimary(stored, primary, context.now()));
    const sentence = `group ${id} has no primary any more: ${primary.uuid} was demoted`;
    decided(context, { group: id, server: primary.uuid, event: 'demoted', sentence });
  },
  async undo({ group: id, before, fenced }, context) {
    const { primary: current } = await requireGroup(context, id);
    if (!before || !fenced || (current !== null && current !== fenced)) return;
    const primary = requireServer(before, fenced);
    try {
      await (await context.sessions.to(primary, patience(context))).unfence();
    } catch (error) {
      // It refuses writes, and is not called the primary of a group that waits for it in vain.
      await changeGroup(context, id, stored =>
        withServer(withoutPrimary(stored, primary, context.now()), fenced, { needsFencing: true }),
      );
      const sentence = `group ${id} has no primary: ${fenced} was demoted, and could not be opened again: ${describe(error)}`;
      decided(context, { group: id, server: fenced, event: 'demoted', level: 'warn', sentence });
      return;
    }
    await changeGroup(context, before.id, stored => ({
      ...withServer(stored, fenced, primary),
      primary: before.primary,
      primarySince: before.primarySince,
    }));
  },
};

async function fence(primary: ServerRecord, context: StepContext): Promise<void> {
  const server = await context.sessions.to(primary, patience(context));
  await server.fence();
  await server.killClients();
}

function withoutPrimary(group: GroupRecord, { uuid, status }: ServerRecord, now: number): GroupRecord {
  const change = { status: STATUS_SECONDARY, mode: MODE_READONLY, byHand: false } as const;
  return { ...(status === STATUS_PRIMARY ? withServer(group, uuid, change) : group), primary: null, primarySince: now };
}

/** A secondary that cannot catch up or be told is logged; the demotion stands. */
const stopReplication: Step<Demotion> = {
  name: 'let the secondaries catch up and stop replication',
  final: true,
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const fenced = requireServer(group, data.fenced ?? '');
    const executed = await (await context.sessions.to(fenced, patience(context))).executed();
    const alive = group.servers.filter(({ status }) => status !== STATUS_FAULTY);
    await Promise.all(alive.map(server => stopWhenCaughtUp(server, group.id, executed, context)));
  },
};

async function stopWhenCaughtUp(
  record: ServerRecord,
  group: string,
  executed: string,
  context: StepContext,
): Promise<void> {
  const warn = (sentence: string) =>
    decided(context, { group, server: record.uuid, event: 'repointed', level: 'warn', sentence });
  try {
    const server = await context.sessions.to(record, patience(context));
    if (!(await server.waitForExecuted(executed, CATCH_UP))) {
      warn(`server ${record.uuid} of group ${group} lacks transactions of the demoted primary`);
    }
    await server.stopReplication();
  } catch (error) {
    warn(`replication on server ${record.uuid} of group ${group} could not be stopped: ${describe(error)}`);
  }
}
