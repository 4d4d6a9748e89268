import { expect, test } from 'vitest';
import type { Context } from '../../../src/fabric/context.js';
import { parseFabricOptions } from '../../../src/fabric/options.js';
import { createProber } from '../../../src/fabric/prober.js';
import { AdminError, type Replication } from '../../../src/fabric/replication/replication.js';
import { createMemoryStore } from '../../../src/fabric/store/memory.js';
import { createTrio, recordOf } from '../../fakes/fake-node.js';

test('a server that answers, and not who it is, leaves no session behind', async () => {
  const servers = createTrio();
  const replication: Replication = {
    connect: async (address, timeout) => ({
      ...(await servers.connect(address, timeout)),
      identity: () => Promise.reject(new AdminError('too long', address, 'ER_QUERY_TIMEOUT', false)),
    }),
  };
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const options = parseFabricOptions({ servers: { password: 'p' }, protocol: { xmlrpc: { password: 'p' } } });
  const context: Context = { options, store: createMemoryStore(), replication, log: silent, now: Date.now };
  const prober = createProber(recordOf(1, 3), context, () => {});
  expect([await prober.probe(), servers.open]).toEqual([true, 0]);
  prober.close();
});
