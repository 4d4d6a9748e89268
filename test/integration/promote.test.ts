import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { promote } from '../../src/fabric/procedures/promote.js';
import { Mysqld, startMysqlds } from '../../src/testing.js';
import { GROUP, HaGroup, until } from './ha-group.js';

const to = (candidate: string | null, updateOnly = false) => promote({ group: GROUP, candidate, updateOnly });

describe.each(['9.7', '5.6'])('switchover on MySQL %s', version => {
  let servers: Mysqld[];
  let ha: HaGroup;

  beforeAll(async () => {
    servers = await startMysqlds(3, { version });
  }, 600_000);
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => ha.stop());

  test('by uuid and back by address, under load: no acknowledged write is lost', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
    const writer = ha.writer();
    await writer.start();
    await until(async () => writer.acknowledged.length > 50);
    await ha.do(to(ha.uuid(second)));
    expect(await ha.statuses()).toEqual(['SECONDARY', 'PRIMARY', 'SECONDARY']);
    const { length } = writer.acknowledged;
    await until(async () => writer.acknowledged.length > length + 50);
    await ha.do(to(first.address));
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
    const { length: later } = writer.acknowledged;
    await until(async () => writer.acknowledged.length > later + 50);
    await writer.stop();
    console.log(`switchover on ${first.version}: longest pause of a writer ${writer.longestPause} ms`);
    expect(writer.longestPause).toBeLessThan(1_000);
    expect(await ha.expectOnePrimary()).toBe(first);
    for (const server of [first, second, third]) {
      await until(async () => (await writer.lostOn(server)).length === 0);
    }
  });
});
