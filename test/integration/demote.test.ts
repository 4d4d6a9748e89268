import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { declareFaulty } from '../../src/fabric/procedures/declare-faulty.js';
import { demote } from '../../src/fabric/procedures/demote.js';
import { promote } from '../../src/fabric/procedures/promote.js';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { GROUP, HaGroup, intercept, until } from './ha-group.js';

describe.each(['9.7', '5.6'])('demote on MySQL %s', version => {
  let servers: Mysqld[];
  let ha: HaGroup;

  beforeAll(async () => {
    servers = await startMysqlds(2, { version });
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => ha.stop());

  const sqlThread = async (server: Mysqld) => {
    const session = await ha.context.replication.connect(server, 1_000);
    try {
      return (await session.replicaStatus())?.sqlThread;
    } finally {
      session.close();
    }
  };

  test('blocks writes, loses none, and stops replication', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [, second] = servers as [Mysqld, Mysqld];
    const writer = ha.writer();
    await writer.start();
    await until(async () => writer.acknowledged.length > 50);
    await ha.do(demote({ group: GROUP, updateOnly: false }));
    await writer.stop();
    expect(await ha.statuses()).toEqual(['SECONDARY', 'SECONDARY']);
    expect((await ha.group()).primary).toBeNull();
    expect(await ha.writable()).toEqual([]);
    expect(await writer.lostOn(second)).toEqual([]);
    expect(await sqlThread(second)).toBe('stopped');
    expect(await ha.refuse(demote({ group: GROUP, updateOnly: false }))).toBe(
      `GroupError: Group (${GROUP}) does not have a master.`,
    );
    await ha.do(promote({ group: GROUP, candidate: null, updateOnly: false }));
    expect(await writer.lostOn(await ha.expectOnePrimary())).toEqual([]);
    expect((await ha.statuses()).sort()).toEqual(['PRIMARY', 'SECONDARY']);
  });

  test('update_only blocks writes too, but leaves replication running', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [, second] = servers as [Mysqld, Mysqld];
    await ha.do(demote({ group: GROUP, updateOnly: true }));
    expect(await ha.writable()).toEqual([]);
    expect(await sqlThread(second)).toBe('running');
    await ha.do(promote({ group: GROUP, candidate: ha.uuid(second), updateOnly: false }));
    expect(await ha.expectOnePrimary()).toBe(second);
  });

  test('a FAULTY primary is only forgotten', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [first] = servers as [Mysqld];
    const report = { group: GROUP, server: ha.uuid(first), reporter: 'test', error: '', updateOnly: true };
    await ha.do(declareFaulty({ ...report, respectFailoverInterval: false }));
    await ha.do(demote({ group: GROUP, updateOnly: false }));
    expect(await ha.statuses()).toEqual(['FAULTY', 'SECONDARY']);
    expect((await ha.group()).primary).toBeNull();
  });

  test('a demotion that fails leaves the primary in service', async () => {
    let armed = false;
    const before = async (_port: number, method: string) => {
      if (armed && method === 'killClients') throw new Error('no');
    };
    ha = new HaGroup(servers, { wrap: real => intercept(real, { before }) });
    await ha.form();
    armed = true;
    expect(await ha.refuse(demote({ group: GROUP, updateOnly: false }))).toBe('no');
    expect(await ha.expectOnePrimary()).toBe(servers[0]);
  });
});
