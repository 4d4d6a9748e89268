import { channel } from 'node:diagnostics_channel';
import { createNode, type Fabric } from '../../src/fabric/node.js';
import { parseFabricOptions } from '../../src/fabric/options.js';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import { createSqliteStore } from '../../src/fabric/store/sqlite.js';
import type { RunRecord, Store } from '../../src/fabric/store/store.js';
import { accounts } from '../../src/testing.js';
import type { Answer, Order, Plan } from './crash-process.js';
import { intercept } from './intercept.js';

/**
 * A node in a process of its own. It names the points that it passes, and kills itself at the one it is told to: before and after each write
 * to the store, and before and after each statement that changes something on a server is sent (not answered: the server may still be at it).
 * Between two of these points nothing changes that the next node could find.
 */

let plan: Plan = { roles: {} };
let labels: string[] = [];
const times = new Map<string, number>();

function begin(next: Plan): void {
  plan = next;
  labels = [];
  times.clear();
}

function passed(what: string, when: string): void {
  const label = `${what} ${when}`;
  labels.push(label);
  if (label === plan.crashAt) process.kill(process.pid, 'SIGKILL');
}

/** The same name for the same thing in every run: its how-manieth time it is belongs to it. */
function numbered(what: string): string {
  const count = (times.get(what) ?? 0) + 1;
  times.set(what, count);
  return `${what} #${count}`;
}

interface Traced {
  readonly query: string;
  readonly serverPort: number;
  what?: string;
}

const CHANGES = /^(SET GLOBAL \w+ = \w+|(?:STOP|START|RESET|CHANGE|KILL)[A-Z_ ]*)/;

channel('tracing:mysql2:query:start').subscribe(message => {
  const traced = message as Traced;
  const statement = CHANGES.exec(traced.query)?.[1];
  if (statement === undefined) return;
  traced.what = numbered(`${plan.roles[traced.serverPort]}: ${statement.trim()}`);
  passed(traced.what, 'before');
});
channel('tracing:mysql2:query:end').subscribe(message => {
  const { what } = message as Traced;
  if (what !== undefined) passed(what, 'sent');
});

async function failing(port: number, method: string, when: string): Promise<void> {
  const { failure, roles } = plan;
  const what = `${roles[port]} ${method} ${when}`;
  const name = numbered(what);
  if (failure?.at !== what && failure?.at !== name) return;
  plan = { ...plan, failure: undefined };
  if (failure.kills !== undefined) process.kill(failure.kills, 'SIGKILL');
  throw new Error('made to fail');
}

function counted(store: Store): Store {
  const around = async <T>(what: string, write: () => Promise<T>): Promise<T> => {
    const name = numbered(what);
    passed(name, 'before');
    const result = await write();
    passed(name, 'after');
    return result;
  };
  return {
    ...store,
    get revision() {
      return store.revision;
    },
    saveGroup: group => around('save the group', () => store.saveGroup(group)),
    async saveRun(run) {
      await around(`save ${run.procedure}`, () => store.saveRun(run));
      if (run.finished) ended(run);
    },
  };
}

const { user, password } = accounts.fabric;
const sentences: string[] = [];
const say = (sentence: string) => {
  sentences.push(sentence);
};
const answer = (given: Partial<Answer>) => {
  process.send?.({ rows: [], error: null, labels, sentences, ms: 0, ...given } satisfies Answer);
};

let awaited: string | undefined;
function ended(run: RunRecord): void {
  if (run.procedure !== awaited) return;
  awaited = undefined;
  // What failed is tried again: that must not kill a node that is looked at by then.
  if (run.error !== null) plan = { ...plan, crashAt: undefined };
  answer({ error: run.error });
}

async function start(file: string): Promise<Fabric> {
  const began = performance.now();
  const fabric = createNode({
    options: parseFabricOptions({
      servers: { user, password },
      // A server that is there must not count as gone on a machine that is busy; one that restarts is seen soon. Nobody takes over unasked.
      failureTracking: { detectionTimeout: 4, detectionInterval: 30, detections: 60, failoverInterval: 3_600 },
      protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
    }),
    store: counted(createSqliteStore({ file })),
    replication: intercept(createReplication({ user, password }), {
      before: (port, method) => failing(port, method, 'before'),
      after: (port, method) => failing(port, method, 'after'),
    }),
    log: { debug: say, info: say, warn: say, error: say },
    now: Date.now,
  });
  await fabric.start();
  answer({ ms: performance.now() - began });
  return fabric;
}

let node: Promise<Fabric> | undefined;

async function obey(order: Order): Promise<void> {
  begin(order.plan);
  if (order.start !== undefined) node = start(order.start);
  const fabric = await node;
  if (order.awaits !== undefined) awaited = order.awaits;
  if (!order.call) return;
  await fabric?.call(...order.call).then(
    ({ rows }) => answer({ rows }),
    (error: unknown) => answer({ error: String(error) }),
  );
}

process.on('message', (order: Order) => void obey(order));
process.on('disconnect', () => process.exit());
