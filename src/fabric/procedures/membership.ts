import {
  MODE_OFFLINE,
  MODE_READONLY,
  STATUS_FAULTY,
  STATUS_NAMES,
  STATUS_SECONDARY,
  STATUS_SPARE,
} from '../../wire/topology.js';
import { decided } from '../audit.js';
import { CommandError } from '../errors.js';
import { phrases } from '../model.js';
import type { Address, ManagedServer } from '../replication/replication.js';
import type { GroupRecord, ServerRecord } from '../store/store.js';
import { place } from './by-hand.js';
import { beyond } from './candidates.js';
import { changeGroup, refuseReplaced, requireGroup, requireServer, withServer } from './group-record.js';
import { describe, patience, shortPatience } from './promotion.js';
import { follow, refuseUnlike } from './repoint.js';
import type { Procedure, Step, StepContext } from './run.js';

/** Servers come, go, and come back after a repair. */

export type Addition = {
  readonly group: string;
  readonly address: Address;
  /** Seconds for the connection. */
  readonly timeout: number;
  readonly updateOnly: boolean;
  /** What answers there. */
  uuid: string;
  /** Whether the server is made to follow the primary. */
  follows: boolean;
};

/** `group.add`: the server becomes a SECONDARY, visible when it follows the group's primary (if there is one). */
export function addServer(request: {
  group: string;
  address: Address;
  timeout: number;
  updateOnly: boolean;
}): Procedure<Addition> {
  return addition({ ...request, uuid: '', follows: false });
}

export function addition(data: Addition): Procedure<Addition> {
  return { name: 'group.add', group: data.group, data, steps: [checkNewcomer, followPrimary, joinGroup] };
}

const checkNewcomer: Step<Addition> = {
  name: 'check the server',
  async run(data, context) {
    const { group: id, address, timeout, updateOnly } = data;
    const primary = primaryOf(await requireGroup(context, id));
    const server = await context.sessions.to(address, timeout * 1000, timeout * 1000);
    const { uuid } = await server.identity();
    await refuseKnown(uuid, address, context);
    await refuseHome(uuid, context);
    await refuseUnfit(uuid, server);
    if (primary) await refuseDiverged(uuid, server, primary, updateOnly, context);
    data.uuid = uuid;
    data.follows = primary !== undefined && !updateOnly;
  },
};

const followPrimary: Step<Addition> = {
  name: 'let it follow the primary',
  async run({ group, uuid, address, timeout, follows }, context) {
    const primary = primaryOf(await requireGroup(context, group));
    if (!follows || !primary) return;
    await context.sessions.to(address, timeout * 1000, timeout * 1000);
    await follow(newSecondary(uuid, address), primary, context);
  },
  async undo({ group, uuid, follows, address }, context) {
    // The store may have taken it as a member without saying so.
    if (!follows || isMember(uuid, await requireGroup(context, group))) return;
    await (await context.sessions.to(address, patience(context))).forgetSource();
  },
};

const joinGroup: Step<Addition> = {
  name: 'store it as a secondary',
  final: true,
  async run({ group, uuid, address, updateOnly }, context) {
    await changeGroup(context, group, stored => {
      // Done before the node was killed.
      if (isMember(uuid, stored)) return stored;
      return { ...stored, servers: [...stored.servers, { ...newSecondary(uuid, address), byHand: updateOnly }] };
    });
    const sentence = `server ${uuid} (${address.host}:${address.port}) joined group ${group}${updateOnly ? UNTOUCHED : ''}`;
    decided(context, { group, server: uuid, event: 'membership', sentence });
  },
};

const UNTOUCHED = `; the server was not touched, and is not until ${place(false)}, or the next command about it`;

function newSecondary(uuid: string, { host, port }: Address): ServerRecord {
  return {
    uuid,
    host,
    port,
    status: STATUS_SECONDARY,
    mode: MODE_READONLY,
    weight: 1,
    needsFencing: false,
    byHand: false,
  };
}

function isMember(uuid: string, { servers }: GroupRecord): boolean {
  return servers.some(server => server.uuid === uuid);
}

function primaryOf(group: GroupRecord): ServerRecord | undefined {
  return group.servers.find(({ uuid }) => uuid === group.primary);
}

async function refuseKnown(uuid: string, address: Address, { store }: StepContext): Promise<void> {
  if (await store.groupOfServer(uuid)) throw new CommandError('ServerError', phrases.serverExists(uuid));
  if (!(await store.groupOfServer(address))) return;
  throw new CommandError('ServerError', phrases.serverExists(`${address.host}:${address.port}`));
}

/** Fenced, it would take no changes of the state any more. */
async function refuseHome(uuid: string, { store }: StepContext): Promise<void> {
  if ((await store.home?.()) !== uuid) return;
  throw new CommandError('ServerError', `Server (${uuid}) cannot be managed: it keeps the state of this node.`);
}

async function refuseUnfit(uuid: string, server: ManagedServer): Promise<void> {
  const issues = await server.requirementIssues();
  if (issues.length > 0)
    throw new CommandError('ServerError', `Server (${uuid}) cannot be managed: ${issues.join('; ')}.`);
}

/** With `updateOnly` a primary that cannot be asked is no obstacle: nothing is done to the server then. */
async function refuseDiverged(
  uuid: string,
  server: ManagedServer,
  primary: ServerRecord,
  updateOnly: boolean,
  context: StepContext,
): Promise<void> {
  try {
    await refuseUnlike(uuid, server, await context.sessions.to(primary, patience(context)));
  } catch (error) {
    if (!updateOnly || error instanceof CommandError) throw error;
    context.log.warn(`server ${uuid} was not compared with the primary ${primary.uuid}: ${describe(error)}`);
  }
}

export type Removal = {
  readonly group: string;
  /** uuid or `host:port`, by uuid when it was found. */
  server: string;
};

/** `group.remove`: the group forgets the server; the server itself is left as it is. */
export function removeServer(request: Removal): Procedure<Removal> {
  const steps = [findMember, leaveGroup];
  return { name: 'group.remove', group: request.group, data: { ...request }, steps };
}

const findMember: Step<Removal> = {
  name: 'check that the server may leave',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const { uuid } = requireServer(group, data.server);
    refusePrimary(uuid, group);
    data.server = uuid;
  },
};

/** Harmless when it is done already: the node may have been killed after it. */
const leaveGroup: Step<Removal> = {
  name: 'remove the server from the group',
  async run({ group, server }, context) {
    await changeGroup(context, group, stored => {
      refusePrimary(server, stored);
      const servers = stored.servers.filter(({ uuid }) => uuid !== server);
      return servers.length === stored.servers.length ? stored : { ...stored, servers };
    });
    const sentence = `server ${server} left group ${group}`;
    decided(context, { group, server, event: 'membership', sentence });
  },
};

function refusePrimary(uuid: string, { id, primary }: GroupRecord): void {
  if (uuid === primary) throw new CommandError('ServerError', phrases.removePrimary(uuid, id));
}

export type Repair = {
  readonly group: string;
  readonly server: string;
  readonly updateOnly: boolean;
};

/** `server.set_status` FAULTY to SPARE: the only way back, for a server that answers and has no errant transactions. */
export function faultyToSpare(request: Repair): Procedure<Repair> {
  const steps = [checkRepaired, takeBack];
  return { name: 'server.set_status', group: request.group, data: { ...request }, steps };
}

const checkRepaired: Step<Repair> = {
  name: 'check the server',
  async run({ group: id, server: name }, context) {
    const group = await requireGroup(context, id);
    const record = requireServer(group, name);
    refuseNotFaulty(record, group);
    const server = await context.sessions.to(record, patience(context));
    await refuseReplaced(record, server);
    await refuseUnfit(record.uuid, server);
  },
};

const takeBack: Step<Repair> = {
  name: 'let it follow the primary and make it a spare',
  async run({ group: id, server: name, updateOnly }, context) {
    const group = await requireGroup(context, id);
    const record = requireServer(group, name);
    const server = await context.sessions.to(record, patience(context));
    const evidence = await attach(record, server, group, updateOnly, context);
    const change = { status: STATUS_SPARE, mode: MODE_OFFLINE, needsFencing: false, byHand: updateOnly } as const;
    await changeGroup(context, id, stored => withServer(stored, record.uuid, change));
    const sentence = `server ${record.uuid} of group ${id} was FAULTY and is a SPARE: it answers and ${evidence}`;
    decided(context, { group: id, server: record.uuid, event: 'status', sentence });
  },
};

function refuseNotFaulty({ uuid, status }: ServerRecord, group: GroupRecord): void {
  const refuse = (sentence: string) => new CommandError('ServerError', sentence);
  if (status !== STATUS_FAULTY) throw refuse(phrases.noSuchMove(uuid, status, STATUS_SPARE));
  if (uuid !== group.primary) return;
  const wayOut = 'Please, promote another server or demote it first.';
  throw refuse(
    `Cannot change status of server (${uuid}) to (${STATUS_NAMES[STATUS_SPARE]}): it still is master. ${wayOut}`,
  );
}

/** @returns what the comparison with the others has shown. */
async function attach(
  record: ServerRecord,
  server: ManagedServer,
  group: GroupRecord,
  updateOnly: boolean,
  context: StepContext,
): Promise<string> {
  const primary = primaryOf(group);
  if (!primary) {
    const evidence = await refuseDivergedFromAll(record, server, group, context);
    await server.fence();
    return evidence;
  }
  await refuseUnlike(record.uuid, server, await context.sessions.to(primary, patience(context)));
  await server.fence();
  if (!updateOnly) {
    await server.setSemiSync('secondary');
    await server.follow(primary);
  }
  return 'has no transactions of its own';
}

/**
 * Without a primary nobody knows which transactions count. A server that has more than another, or less, may be right; one that has some and
 * lacks others cannot be reconciled with it.
 * @throws CommandError naming both.
 */
async function refuseDivergedFromAll(
  { uuid }: ServerRecord,
  server: ManagedServer,
  { servers, baseline }: GroupRecord,
  context: StepContext,
): Promise<string> {
  const executed = await server.executed();
  const refuse = (from: string, reference: string) => {
    const [own, lacking] = [beyond(executed, reference), beyond(reference, executed)];
    if (own === '' || lacking === '') return;
    throw new CommandError(
      'ServerError',
      `Server (${uuid}) has diverged from ${from}: it has ${own}, and lacks ${lacking}.`,
    );
  };
  const others = servers.filter(other => other.uuid !== uuid && other.status !== STATUS_FAULTY);
  const ask = async (other: ServerRecord) => (await context.sessions.to(other, shortPatience(context))).executed();
  const answers = await Promise.allSettled(others.map(ask));
  for (const [index, answer] of answers.entries())
    if (answer.status === 'fulfilled') refuse(`server (${others[index]?.uuid})`, answer.value);
  if (baseline !== null) refuse('what there was at the last promotion', baseline);
  const asked = answers.filter(({ status }) => status === 'fulfilled').length;
  return asked === 0
    ? 'could be compared with nobody'
    : `has not diverged from the ${asked} others that could be asked`;
}
