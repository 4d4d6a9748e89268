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
import { changeGroup, requireGroup, requireServer, withServer } from './group-record.js';
import { describe, patience, refuseErrant } from './promotion.js';
import type { Procedure, Step, StepContext } from './run.js';

/** Servers come, go, and come back after a repair. */

export type Addition = {
  readonly group: string;
  readonly address: Address;
  /** Seconds for the connection. */
  readonly timeout: number;
  readonly updateOnly: boolean;
  /** Whether the server was made to follow the primary. */
  touched: boolean;
};

/** `group.add`: the server becomes a SECONDARY, visible when it follows the group's primary (if there is one). */
export function addServer(request: {
  group: string;
  address: Address;
  timeout: number;
  updateOnly: boolean;
}): Procedure<Addition> {
  return addition({ ...request, touched: false });
}

export function addition(data: Addition): Procedure<Addition> {
  return { name: 'group.add', group: data.group, data, steps: [joinGroup] };
}

const joinGroup: Step<Addition> = {
  name: 'check the server, let it follow the primary and store it',
  async run(data, context) {
    const group = await requireGroup(context, data.group);
    const server = await context.sessions.to(data.address, data.timeout * 1000, data.timeout * 1000);
    const { uuid } = await server.identity();
    await refuseKnown(uuid, data.address, context);
    await refuseHome(uuid, context);
    await refuseUnfit(uuid, server);
    const primary = primaryOf(group);
    if (primary) await followPrimary(uuid, server, primary, data, context);
    await changeGroup(context, data.group, stored => ({
      ...stored,
      servers: [...stored.servers, newSecondary(uuid, data.address)],
    }));
    const sentence = `server ${uuid} (${data.address.host}:${data.address.port}) joined group ${data.group}`;
    decided(context, { group: data.group, server: uuid, event: 'membership', sentence });
  },
  async undo({ touched, address }, context) {
    if (touched) await (await context.sessions.to(address, patience(context))).forgetSource();
  },
};

function newSecondary(uuid: string, { host, port }: Address): ServerRecord {
  return { uuid, host, port, status: STATUS_SECONDARY, mode: MODE_READONLY, weight: 1, needsFencing: false };
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

async function followPrimary(
  uuid: string,
  server: ManagedServer,
  primary: ServerRecord,
  data: Addition,
  context: StepContext,
): Promise<void> {
  if (!(await passesErrantCheck(uuid, server, primary, data.updateOnly, context))) return;
  if (data.updateOnly) return;
  data.touched = true;
  await server.setSemiSync('secondary');
  await server.follow(primary);
}

/** With `updateOnly` a primary that cannot be asked is no obstacle: nothing is done to the server then. */
async function passesErrantCheck(
  uuid: string,
  server: ManagedServer,
  primary: ServerRecord,
  updateOnly: boolean,
  context: StepContext,
): Promise<boolean> {
  try {
    await refuseErrant(uuid, server, await context.sessions.to(primary, patience(context)));
    return true;
  } catch (error) {
    if (!updateOnly || error instanceof CommandError) throw error;
    context.log.warn(`server ${uuid} was not compared with the primary ${primary.uuid}: ${describe(error)}`);
    return false;
  }
}

export type Removal = {
  readonly group: string;
  readonly server: string;
};

/** `group.remove`: the group forgets the server; the server itself is left as it is. */
export function removeServer(request: Removal): Procedure<Removal> {
  return { name: 'group.remove', group: request.group, data: { ...request }, steps: [leaveGroup] };
}

const leaveGroup: Step<Removal> = {
  name: 'remove the server from the group',
  async run({ group, server }, context) {
    let left = server;
    await changeGroup(context, group, stored => {
      const { uuid } = requireServer(stored, server);
      if (uuid === stored.primary) throw new CommandError('ServerError', phrases.removePrimary(uuid, group));
      left = uuid;
      return { ...stored, servers: stored.servers.filter(other => other.uuid !== uuid) };
    });
    const sentence = `server ${left} left group ${group}`;
    decided(context, { group, server: left, event: 'membership', sentence });
  },
};

export type Repair = {
  readonly group: string;
  readonly server: string;
  readonly updateOnly: boolean;
};

/** `server.set_status` FAULTY to SPARE: the only way back, for a server that answers and has no errant transactions. */
export function faultyToSpare(request: Repair): Procedure<Repair> {
  return { name: 'server.set_status', group: request.group, data: { ...request }, steps: [takeBack] };
}

const takeBack: Step<Repair> = {
  name: 'check the server, let it follow the primary and make it a spare',
  async run({ group: id, server: name, updateOnly }, context) {
    const group = await requireGroup(context, id);
    const record = requireServer(group, name);
    refuseNotFaulty(record, group);
    const server = await context.sessions.to(record, patience(context));
    await refuseReplaced(record, server);
    await refuseUnfit(record.uuid, server);
    await attach(record, server, primaryOf(group), updateOnly, context);
    const change = { status: STATUS_SPARE, mode: MODE_OFFLINE, needsFencing: false } as const;
    await changeGroup(context, id, stored => withServer(stored, record.uuid, change));
    const sentence = `server ${record.uuid} of group ${id} was FAULTY and is a SPARE: it answers and has no transactions of its own`;
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

/** Another server may answer at the address by now, with other data. */
async function refuseReplaced({ uuid, host, port }: ServerRecord, server: ManagedServer): Promise<void> {
  const answering = (await server.identity()).uuid;
  if (answering.toLowerCase() === uuid.toLowerCase()) return;
  throw new CommandError('ServerError', `At ${host}:${port} answers server (${answering}), not (${uuid}).`);
}

async function attach(
  { uuid }: ServerRecord,
  server: ManagedServer,
  primary: ServerRecord | undefined,
  updateOnly: boolean,
  context: StepContext,
): Promise<void> {
  if (primary) await refuseErrant(uuid, server, await context.sessions.to(primary, patience(context)));
  await server.fence();
  if (!primary || updateOnly) return;
  await server.setSemiSync('secondary');
  await server.follow(primary);
}
