import { describe, expect, it } from 'vitest';
import { explain, type Known, type Situation } from '../../../src/client/explain.js';
import { createPool } from '../../../src/index.js';
import type { Server } from '../../../src/wire/topology.js';
import { startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, startScriptedNode } from '../../fakes/scripted-node.js';

const primary = aServer(1);
const second = aServer(2, { status: 2, mode: 1, weight: 0.75 });
const third = aServer(3, { status: 2, mode: 1, weight: 0.25 });
const spare = aServer(4, { status: 1, mode: 0 });

const known: Known = {
  topology: { group: 'g', servers: [], fabricUuid: '', ttl: 1 },
  age: 120.4,
  ttl: 1_000,
  inDoubt: false,
  unconfirmed: false,
};

function situation(servers: readonly Server[], cooling: readonly Server[] = [], change: Partial<Situation> = {}) {
  return {
    known: { ...known, topology: { ...known.topology, servers } },
    node: 'fabric1:32274',
    cooling: (server: Server) => cooling.includes(server),
    balancer: 'weightedRoundRobin',
    failoverTimeout: 15_000,
    boundTo: undefined,
    ...change,
  };
}

const READS = { group: 'g', mode: 1 } as const;
const WRITES = { group: 'g', mode: 3 } as const;
const all = [primary, second, third, spare];

describe('explain tells', () => {
  it('between whom reads are shared, and why not the others', () => {
    const told = explain(READS, situation(all));
    expect(told).toMatchObject({ group: 'g', mode: 1, server: null, topology: { node: 'fabric1:32274', age: 120.4 } });
    expect(told.candidates).toEqual([
      { server: second, cooling: false, share: 0.75 },
      { server: third, cooling: false, share: 0.25 },
    ]);
    expect(told.text).toBe(
      'Reads of group g (READ_ONLY) go to one of 127.0.0.1:2 (75 % by weight), 127.0.0.1:3 (25 % by weight), as weightedRoundRobin decides. ' +
        'Not 127.0.0.1:1: it is the primary, and others serve reads. Not 127.0.0.1:4: it is SPARE, OFFLINE. ' +
        'The topology is from the Fabric node fabric1:32274, confirmed 120 ms ago; after 1000 ms it is asked again. ' +
        'When none of them can be reached, 127.0.0.1:1, the primary, serves; when nobody can, a statement is held for up to 15000 ms ' +
        '(failoverTimeout) for the group to have one, then fails.',
    );
  });

  it('no shares where the balancer does not go by weight alone', () => {
    const told = explain(READS, situation(all, [], { balancer: 'roundRobin' }));
    expect(told.text).toContain('go to one of 127.0.0.1:2, 127.0.0.1:3, as roundRobin decides.');
  });

  it.each([
    ['the primary', WRITES, situation(all), primary, 'the only one that serves them (PRIMARY, READ_WRITE)'],
    ['the one that does not cool', READS, situation(all, [second]), third, 'the only one that can be reached'],
    [
      'the last resort',
      READS,
      situation(all, [second, third]),
      primary,
      'the primary, because no other can be reached',
    ],
    ['nobody', READS, situation(all, [primary, second, third]), null, 'wait: no server lets us connect'],
    ['nobody by role', WRITES, situation([second]), null, 'can go nowhere now'],
    [
      'where the transaction is',
      READS,
      situation(all, [], { boundTo: primary }),
      primary,
      'a transaction is open there',
    ],
  ] as const)('that it goes to %s', (_who, target, around, server, words) => {
    const told = explain(target, around);
    expect(told.server).toBe(server);
    expect(told.text).toContain(words);
  });

  it('who cools', () => {
    expect(explain(READS, situation(all, [second])).text).toContain('127.0.0.1:2 is left alone for a moment');
  });

  it.each<[Partial<Known>, string]>([
    [{ inDoubt: true }, 'a statement failed since'],
    [{ unconfirmed: true }, 'no Fabric node answers now'],
  ])('how good the topology is: %j', (change, words) => {
    expect(explain(READS, situation(all, [], { known: { ...known, ...change } })).text).toContain(words);
  });

  it('what is missing', () => {
    expect(explain({ group: null, mode: 3 }, situation(all)).text).toContain('No group is chosen');
    const unknown = explain(WRITES, situation(all, [], { known: undefined }));
    expect(unknown).toMatchObject({ topology: null, server: null, candidates: [] });
    expect(unknown.text).toContain('Nothing is known of group g yet');
  });
});

it('a pool and its connections explain themselves, and no statement goes elsewhere for it', async () => {
  const [node, mysql] = await Promise.all([startScriptedNode(), startScriptedMysql()]);
  node.servers = [aServer(mysql.port)];
  const pool = createPool({ fabric: `127.0.0.1:${node.port}`, user: 'u', group: 'g' }).promise();
  expect(pool.explain().topology).toBeNull();
  expect(node.requests).toBe(0);
  mysql.script = (sql, answer) => answer.ok(sql === 'BEGIN' ? 3 : 2);
  const connection = await pool.getConnection();
  await connection.query('BEGIN');
  expect(pool.explain({ mode: 'READONLY' })).toMatchObject({ mode: 1, server: { port: mysql.port } });
  expect(pool.explain().topology).toMatchObject({ node: `127.0.0.1:${node.port}`, inDoubt: false, unconfirmed: false });
  expect(pool.explain().topology?.age).toBeLessThan(10_000);
  expect(connection.explain().text).toContain('a transaction is open there');
  expect(() => pool.explain({ mode: 9 as 1 })).toThrow(RangeError);
  connection.destroy();
  await pool.end();
  await Promise.all([node.close(), mysql.close()]);
});
