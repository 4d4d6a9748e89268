import { hostname } from 'node:os';
import { type Cell, rowsOf } from '../wire/reply.js';
import { FABRIC_UUID } from '../wire/topology.js';
import { ANYBODY, hasSuperadmin } from './accounts.js';
import { commands } from './commands/all.js';
import { type CommandContext, dispatch, type ListeningEndpoint } from './commands/define.js';
import type { Context } from './context.js';
import { createDetector } from './detector.js';
import type { Endpoint } from './endpoints/listener.js';
import { startMysql } from './endpoints/mysql.js';
import { startXmlRpc } from './endpoints/xmlrpc.js';
import { CommandError } from './errors.js';
import type { Log } from './log.js';
import { formatAddress, parseAddress } from './model.js';
import { type FabricOptions, MYSQL_PORT, XMLRPC_PORT } from './option-table.js';
import { type FabricNodeOptions, parseFabricOptions } from './options.js';
import { recoverRuns } from './procedures/recover.js';
import { createRunner, type Runner } from './procedures/runner.js';
import { createReplication } from './replication/admin-connection.js';
import type { Address } from './replication/replication.js';
import { createStatistics } from './statistics.js';
import { createStore, StoreInUse } from './store/create.js';

/** The composition root: here, and nowhere else, the parts of a node are made and put together. */

/** A Fabric node in this process. */
export interface Fabric {
  /**
   * Takes its ports and the store, ends what a killed node left unfinished, watches the active groups and serves. Started twice is started.
   * Rejects when it cannot listen, or another node uses the store.
   */
  start(): Promise<void>;
  /**
   * Ends everything, in a bounded time; procedures under way get 10 s, and are gone on with at the next start. Stopped twice is stopped. A start
   * that is under way is given up, and rejects.
   */
  stop(): Promise<void>;
  /**
   * Resolves when the node has stopped: by `stop()` or the command `manage.stop`; or by itself, with the reason, because another node has taken
   * over its state store. (Only a MySQL store can be taken so, from a node that has lost its session there.)
   */
  stopped(): Promise<Error | undefined>;
  /** Where it listens: while the node runs, with the ports that it really got. */
  readonly address: FabricAddress;
  /**
   * Carries out a command in this process, with its arguments in wire order: `call('group.add', 'my_group', 'db1:3306')`.
   * @throws CommandError with the message that the wire would show.
   */
  call(name: string, ...args: readonly unknown[]): Promise<CallResult>;
}

/** Where a node listens, by protocol. */
export interface FabricAddress {
  readonly xmlrpc: Address;
  readonly mysql?: Address;
}

/** What a command answered. */
export interface CallResult {
  readonly fabricUuid: string;
  /** Seconds for which it may be cached. */
  readonly ttl: number;
  /** The first result set, each row by column name. */
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly resultSets: readonly {
    readonly columns: readonly string[];
    readonly rows: readonly (readonly Cell[])[];
  }[];
}

/** @throws TypeError or RangeError with code FABRIC_BAD_OPTION and the option's name. */
export function createFabric(given: FabricNodeOptions): Fabric {
  const options = parseFabricOptions(given);
  const { user, password } = options.servers;
  return createNode({
    options,
    store: createStore(options.storage),
    replication: createReplication({ user, password }),
    log: given.log ?? SILENT,
    now: Date.now,
  });
}

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

const GRACE_MS = 10_000;
/** For a node that is stopped in its start. */
const START_GRACE_MS = 2_000;

/** A node of these parts. */
export function createNode(context: Context): Fabric {
  const { options } = context;
  let running: Promise<RunningNode> | undefined;
  let stopping: Promise<void> = Promise.resolve();
  let leaving = new AbortController();
  let reason: Error | undefined;
  let started: RunningNode | undefined;
  const waiting: (() => void)[] = [];
  let address = configuredAddress(options);

  const startOnce = async (signal: AbortSignal): Promise<RunningNode> => {
    await stopping;
    const node = await startNode(context, { shutDown: () => void stop(), standDown }, signal);
    address = node.address;
    started = node;
    return node;
  };
  const stop = async (grace = GRACE_MS): Promise<void> => {
    const node = running;
    running = undefined;
    leaving.abort(reason ?? stoppedEarly());
    if (node) stopping = node.then(started => started.stop(grace)).catch(() => {});
    await stopping;
    for (const tell of waiting.splice(0)) tell();
  };
  /** At once: the other node goes on with the procedures that are under way. */
  const standDown = (error: Error): void => {
    context.log.error(error.message);
    reason = error;
    started?.abandon();
    void stop(0);
  };
  const current = async (): Promise<RunningNode> => {
    if (!running) throw new Error('This Fabric node is not running: start() it first.');
    return running;
  };

  return {
    get address() {
      return address;
    },
    async start() {
      if (!running) {
        reason = undefined;
        leaving = new AbortController();
        running = startOnce(leaving.signal);
      }
      const attempt = running;
      try {
        await attempt;
      } catch (error) {
        if (running === attempt) running = undefined;
        for (const tell of waiting.splice(0)) tell();
        throw error;
      }
    },
    stop: () => stop(),
    async stopped() {
      if (running) await new Promise<void>(resolve => waiting.push(resolve));
      await stopping;
      return reason;
    },
    async call(name, ...args) {
      const node = await current();
      return callResult(await dispatch(node.commandContext, ANYBODY, name, args), options.connector.ttl);
    },
  };
}

const stoppedEarly = () =>
  Object.assign(new Error('This Fabric node was stopped before it had started.'), { code: 'ABORT_ERR' });

interface RunningNode {
  readonly commandContext: CommandContext;
  readonly address: FabricAddress;
  /** @param grace ms for what is under way. */
  stop(grace: number): Promise<void>;
  /** Leaves at once what is under way, also in a `stop` that waits for it. */
  abandon(): void;
}

/** How a node comes to its end from within. */
interface Ending {
  shutDown(): void;
  standDown(error: Error): void;
}

/** @param leaving ends the start, which then leaves nothing open. */
async function startNode(context: Context, ending: Ending, leaving: AbortSignal): Promise<RunningNode> {
  const { store, options, log } = context;
  const runner = createRunner(context);
  const detector = createDetector(context, runner);
  const statistics = createStatistics(context);
  const listening: ListeningEndpoint[] = [];
  const own = { endpoints: () => listening, statistics, startedAt: context.now(), shutDown: ending.shutDown };
  const commandContext: CommandContext = { ...context, runner, detector, commands, ...own };
  const endpoints: Endpoint[] = [];

  const stop = async (grace: number): Promise<void> => {
    // Whatever waits for a store that does not answer waits no longer.
    const late = setTimeout(() => void store.close(), grace);
    await Promise.all([detector.stop(), runner.stop(grace), ...endpoints.map(endpoint => endpoint.stop(grace))]);
    await statistics.stop();
    clearTimeout(late);
    await store.close();
    log.info('Stopped.');
  };
  const bind = async (protocol: ListeningEndpoint['protocol'], starting: Promise<Endpoint>): Promise<Endpoint> => {
    const endpoint = await starting;
    endpoints.push(endpoint);
    listening.push({ protocol, ...reachableAt(endpoint.address) });
    return endpoint;
  };
  try {
    const { xmlrpc, mysql } = options.protocol;
    // Before all else: a second node that is started by mistake ends here, and has touched nothing. In the order of the original's dump.fabric_nodes.
    const second = mysql && (await bind('protocol.mysql', startMysql(mysql, commandContext)));
    const first = await bind('protocol.xmlrpc', startXmlRpc(xmlrpc, commandContext));
    await takeOver(context, runner, ending, leaving);
    detector.start();
    for (const group of await store.groups()) if (group.active) detector.watch(group.id);
    for (const endpoint of endpoints) endpoint.open();
    log.info(`Listening for XML-RPC on ${formatAddress(first.address)}.`);
    if (second) log.info(`Listening for the MySQL protocol on ${formatAddress(second.address)}.`);
    return {
      commandContext,
      address: { xmlrpc: first.address, ...(second && { mysql: second.address }) },
      stop,
      abandon: runner.leave,
    };
  } catch (error) {
    await stop(GRACE_MS).catch(() => {});
    throw leaving.aborted ? leaving.reason : error;
  }
}

/** The state is this node's alone from here on, and what the last one left unfinished is ended. */
async function takeOver(context: Context, runner: Runner, ending: Ending, leaving: AbortSignal): Promise<void> {
  const { store, options } = context;
  await store.claim(ending.standDown, leaving); // before the store is opened, which may change its schema
  await store.open(leaving);
  if (!hasSuperadmin(options, store.users)) throw new Error(NOBODY);
  await recover(context, runner, leaving);
}

/** Whoever stops the node meanwhile need not wait: what is not done by then, the next start goes on with. */
async function recover(context: Context, runner: Runner, leaving: AbortSignal): Promise<void> {
  let left: Promise<void> | undefined;
  const leave = () => {
    if (leaving.reason instanceof StoreInUse) runner.leave(); // the other node goes on with them at once
    left = runner.stop(START_GRACE_MS);
  };
  leaving.addEventListener('abort', leave, { once: true });
  if (!leaving.aborted) await recoverRuns(context, runner);
  leaving.removeEventListener('abort', leave);
  await left;
  leaving.throwIfAborted();
}

const NOBODY =
  'No user may call all commands: give a password in protocol.xmlrpc, or make a user in the state store by `mysqlfabric manage setup`.';

/** As it was configured, before the node knows its ports; checked already. */
function configuredAddress({ protocol: { xmlrpc, mysql } }: FabricOptions): FabricAddress {
  const parse = (text: string, port: number): Address => {
    const parsed = parseAddress(text, port, true);
    return 'value' in parsed ? parsed.value : { host: text, port: 0 };
  };
  return { xmlrpc: parse(xmlrpc.address, XMLRPC_PORT), ...(mysql && { mysql: parse(mysql.address, MYSQL_PORT) }) };
}

/** An address that means "all of this machine's" is none that a client could use: it is told the machine's name. */
function reachableAt({ host, port }: { host: string; port: number }): { host: string; port: number } {
  return { host: host === '0.0.0.0' || host === '::' ? hostname() : host, port };
}

function callResult(reply: Awaited<ReturnType<typeof dispatch>>, ttl: number): CallResult {
  if (reply.error !== '') throw new CommandError(reply.kind ?? 'CommandError', reply.error);
  const resultSets = reply.resultSets.map(({ columns, rows }) => ({ columns: columns.map(({ name }) => name), rows }));
  const [first] = resultSets;
  return { fabricUuid: FABRIC_UUID, ttl, rows: first ? rowsOf(first) : [], resultSets };
}
