import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SqlDatabase } from '../../../src/fabric/store/sql-database.js';
import { createSqlStore } from '../../../src/fabric/store/sql-store.js';
import { createSqliteDatabase } from '../../../src/fabric/store/sqlite.js';
import { type GroupRecord, InDoubt, type Store } from '../../../src/fabric/store/store.js';
import { STATUS_PRIMARY } from '../../../src/wire/topology.js';
import { createFakeNode, createTrio, recordOf, trioRecord, uuidOf } from '../../fakes/fake-node.js';
import type { FakeServers } from '../../fakes/fake-servers.js';

/** The state store takes a change of the primary, and its confirmation is lost: the node goes on from what is stored, not from what it knew. */

let servers: FakeServers;
let store: Store;
let node: ReturnType<typeof createFakeNode>;
let lost: boolean;
beforeEach(async () => {
  servers = createTrio();
  lost = false;
  store = createSqlStore(doubtful());
  await store.open();
});
afterEach(() => node.fabric.stop());

/** As a MySQL server, where asking for the revision is a round trip. It loses the first COMMIT that makes the second server the primary. */
function doubtful(): SqlDatabase {
  const { revision: _none, ...database } = createSqliteDatabase({ file: ':memory:' });
  return {
    ...database,
    async write(work, relaxed) {
      let primary: unknown;
      const result = await database.write(async session => {
        const done = await work(session);
        const tables = await session.query("SELECT name FROM sqlite_master WHERE name = 'fabric_groups'");
        if (tables.length > 0)
          primary = (await session.query('SELECT primary_uuid FROM fabric_groups'))[0]?.primary_uuid;
        return done;
      }, relaxed);
      if (lost || primary !== uuidOf(2)) return result;
      lost = true;
      throw new InDoubt(new Error('Connection lost'));
    },
  };
}

async function start(change: Partial<GroupRecord>): Promise<void> {
  await store.createGroup(trioRecord(change));
  node = createFakeNode(store, servers);
  await node.fabric.start();
}
const writable = () => [1, 2, 3].filter(port => servers.get(port).up && !servers.get(port).readOnly);
const state = async () => [(await store.group('g'))?.primary, writable()];
const opened = () => expect.poll(state, { timeout: 8_000 }).toEqual([uuidOf(2), [2]]);

test('a switchover', async () => {
  await start({ active: false });
  await node.fabric.call('group.promote', 'g', uuidOf(2)).catch(() => {});
  expect(lost).toBe(true);
  await sleep(500); // until the store is asked in any case
  const group = await store.group('g');
  expect(writable().map(uuidOf)).toEqual([group?.primary]);
  const primaries = group?.servers.filter(({ status }) => status === STATUS_PRIMARY);
  expect(primaries?.map(({ uuid }) => uuid)).toEqual([group?.primary]);
});

test('a failover that is asked for', async () => {
  servers.get(1).up = false;
  await start({ active: false, servers: [recordOf(1, 0, { needsFencing: true }), recordOf(2, 2), recordOf(3, 2)] });
  await node.fabric.call('group.promote', 'g', uuidOf(2)).catch(() => {});
  expect(lost).toBe(true);
  await opened();
});

test("a failover of the node's own", async () => {
  await start({});
  await expect.poll(() => node.sentences.join()).toContain('Listening');
  servers.get(1).up = false;
  for (const port of [2, 3]) servers.get(port).io = 'connecting';
  await expect.poll(() => lost, { timeout: 8_000 }).toBe(true);
  await opened();
});
