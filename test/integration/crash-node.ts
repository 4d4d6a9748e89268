import { createNode } from '../../src/fabric/node.js';
import { parseFabricOptions } from '../../src/fabric/options.js';
import { createReplication } from '../../src/fabric/replication/admin-connection.js';
import { createSqliteStore } from '../../src/fabric/store/sqlite.js';
import type { Store } from '../../src/fabric/store/store.js';
import { accounts } from '../../src/testing.js';
import type { Answer, Order } from './crash-cluster.js';
import { intercept } from './intercept.js';

/**
 * A node in a process of its own, with its state in the file that is its first argument. It counts its calls to the servers and its writes to
 * the store, before and after each, and kills itself at the one it is told to: by an order, or when it starts by its second argument.
 */

const [, , file = '', atStart = '0'] = process.argv;
let labels: string[] = [];
let crashAt = Number(atStart);
let failure: Order['failure'];

async function passed(label: string): Promise<void> {
  labels.push(label);
  if (labels.length === crashAt) process.kill(process.pid, 'SIGKILL');
  if (label !== failure?.label) return;
  const { kills } = failure;
  failure = undefined;
  if (kills !== undefined) process.kill(kills, 'SIGKILL');
  throw new Error('made to fail');
}

function counted(store: Store): Store {
  const wrap =
    <A extends unknown[], R>(name: string, call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await passed(`${name} before`);
      const result = await call(...args);
      await passed(`${name} after`);
      return result;
    };
  return {
    ...store,
    get revision() {
      return store.revision;
    },
    saveRun: wrap('saveRun', store.saveRun),
    saveGroup: wrap('saveGroup', store.saveGroup),
  };
}

const { user, password } = accounts.fabric;
const sentences: string[] = [];
const say = (sentence: string) => {
  sentences.push(sentence);
};
const began = performance.now();
const fabric = createNode({
  options: parseFabricOptions({
    servers: { user, password },
    protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
  }),
  store: counted(createSqliteStore({ file })),
  replication: intercept(createReplication({ user, password }), {
    before: (port, method) => passed(`${port} ${method} before`),
    after: (port, method) => passed(`${port} ${method} after`),
  }),
  log: { debug: say, info: say, warn: say, error: say },
  now: Date.now,
});

const answer = (given: Partial<Answer>) => {
  process.send?.({ rows: [], error: null, labels, sentences, ms: 0, ...given } satisfies Answer);
};

process.on('message', (order: Order) => {
  labels = [];
  ({ crashAt, failure } = order);
  fabric.call(...order.call).then(
    ({ rows }) => answer({ rows }),
    (error: unknown) => answer({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
await fabric.start();
answer({ ms: performance.now() - began });
