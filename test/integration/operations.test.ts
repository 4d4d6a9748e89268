import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FabricRpc } from '../../src/client/fabric-rpc.js';
import { createFabric, type Fabric, type FabricNodeOptions } from '../../src/fabric.js';
import { accounts, type Mysqld, startMysqlds } from '../../src/testing.js';
import { until } from './ha-group.js';

/** What operators ask a node, with real servers and a state store that outlives the node. */

const ACCOUNT = { user: 'admin', password: 'adminpw' } as const;
const QUICK = { detectionInterval: 1, detections: 2, detectionTimeout: 0.5 };

describe.each(['9.7', '5.6'])('operations on MySQL %s', version => {
  let servers: Mysqld[];
  let first: Mysqld;
  let second: Mysqld;
  let third: Mysqld;
  let fabric: Fabric;
  let sentences: string[];
  let files = 0;
  const dir = mkdtempSync(join(tmpdir(), 'operations-'));

  beforeAll(async () => {
    servers = await startMysqlds(3, { version });
    [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
  }, 600_000);
  afterAll(async () => {
    await Promise.all(servers.map(server => server.remove()));
    rmSync(dir, { recursive: true });
  });
  afterEach(() => fabric.stop());

  const call = (name: string, ...args: unknown[]) => fabric.call(name, ...args);
  const start = async (failureTracking: FabricNodeOptions['failureTracking'] = QUICK) => {
    sentences = [];
    const say = (sentence: string) => {
      sentences.push(sentence);
    };
    fabric = createFabric({
      servers: { ...accounts.fabric, unreachableTimeout: 2 },
      protocol: { xmlrpc: { address: '127.0.0.1:0', ...ACCOUNT } },
      failureTracking: { ...QUICK, ...failureTracking },
      storage: { type: 'sqlite', file: join(dir, `${files}.sqlite`) },
      log: { debug() {}, info: say, warn: say, error: say },
    });
    await fabric.start();
  };

  /** A node on an empty store, and a group `g` of blank servers, whose first one is the primary. */
  const form = async (members: readonly Mysqld[], failureTracking?: FabricNodeOptions['failureTracking']) => {
    files += 1;
    for (const server of servers) if (server.running) server.resume();
    await Promise.all(
      servers.map(async server => {
        await server.start();
        await server.reset();
      }),
    );
    await start(failureTracking);
    await call('group.create', 'g');
    for (const server of members) await call('group.add', 'g', server.address);
    await call('group.promote', 'g', members[0]?.address);
  };
  const uuidOf = async (server: Mysqld) => String((await call('server.lookup_uuid', server.address)).rows[0]?.uuid);
  const refusal = (name: string, ...args: unknown[]) =>
    call(name, ...args).then(
      () => expect.fail(`${name} was expected to fail`),
      (error: Error) => error.message,
    );
  const why = async () => (await call('group.why', 'g', 1)).rows.map(({ sentence }) => String(sentence)).join('\n');
  const saysWhy = (...parts: readonly (string | RegExp)[]) =>
    until(async () => {
      const text = await why();
      return parts.every(part => (typeof part === 'string' ? text.includes(part) : part.test(text))) && text;
    }).catch(async () => expect.fail(`${parts.join(' + ')} not in:\n${await why()}\n${sentences.join('\n')}`));
  const diverge = async (server: Mysqld) => {
    if (version !== '5.6') await server.query('SET GLOBAL super_read_only = OFF');
    await server.query('SET GLOBAL read_only = OFF');
    await server.query('CREATE TABLE app.errant (id INT)');
  };
  const row = async (server: Mysqld) => {
    const { rows } = await call('group.lookup_servers', 'g', server.address);
    return rows[0];
  };

  test('what was done is found after a restart, over the wire', async () => {
    await form(servers);
    const { rows } = await call('group.promote', 'g', second.address, false, false);
    const uuid = String(rows[0]?.uuid);
    await call('event.wait_for_procedures', [uuid]);
    const [failed] = (await call('group.promote', 'g', second.address, false, false)).rows;
    const logged = (await call('event.log', 'g')).rows;
    await fabric.stop();
    await start();
    const { host, port } = fabric.address.xmlrpc;
    const rpc = new FabricRpc([{ host, port, ...ACCOUNT, tls: null }], 20_000);
    try {
      const reply = await rpc.ask('event.wait_for_procedures', [[uuid, String(failed?.uuid)]], 'look');
      expect(reply.error).toBe('');
      expect(reply.resultSets[0]?.rows).toEqual([[uuid, true, true, true]]);
      const steps = reply.resultSets[1]?.rows.map(([, , , text]) => text);
      expect(steps).toContain('Executed action (make the candidate the primary in the state store).');
      expect(reply.resultSets[2]?.rows[0]?.[1]).toMatch(/^ServerError: Candidate slave .* is already master/);
      const found = (await rpc.ask('event.log', ['g'], 'look')).resultSets[0];
      expect(found?.rows.slice(0, logged.length)).toEqual(
        logged.map(each => Object.values(each).map(cell => cell ?? 'None')),
      );
      const statistics = async (name: string, about: string) =>
        (await rpc.ask(`statistics.${name}`, [about], 'look')).resultSets[0]?.rows;
      expect(await statistics('group', 'g')).toEqual([['g', 2, 1]]);
      expect(await statistics('procedure', 'group.promote')).toEqual([['group.promote', 3, 1]]);
    } finally {
      rpc.close();
    }
  });

  test('an event fails a group over, and is answered before that is done', async () => {
    await form(servers);
    const { rows } = await call('event.trigger', 'FAIL_OVER', [], ['g']);
    await call('event.wait_for_procedures', [rows[0]?.uuid]);
    expect((await row(first))?.status).toBe('FAULTY');
    const statuses = (await call('group.lookup_servers', 'g')).rows.map(({ status }) => status);
    expect(statuses.sort()).toEqual(['FAULTY', 'PRIMARY', 'SECONDARY']);
  });

  test('why: nothing is wrong, and what was decided', async () => {
    await form(servers);
    await call('group.activate', 'g');
    await saysWhy(
      'Group g is activated',
      `Its primary is server ${await uuidOf(first)} (${first.address})`,
      new RegExp(
        `${second.address} is SECONDARY, READ_ONLY: it answers, follows the primary \\(\\d+ s behind\\), lacks nothing of the primary, and refuses writes\\.`,
      ),
      /Decided at .*, asked for by group\.promote: server .* is the primary of group g/,
      'No failover is wanted: the primary answers.',
    );
  });

  test('why: the primary refuses writes', async () => {
    await form(servers);
    await first.query('SET GLOBAL read_only = ON');
    await saysWhy(
      `${first.address} is PRIMARY, READ_WRITE: it answers, but refuses writes.`,
      /It refuses writes. One that has restarted is opened when 'group.activate g' has it watched; one that was made read-only by hand stays so/,
    );
    await call('group.activate', 'g');
    await saysWhy(/One that has restarted is opened as soon as every server that is not FAULTY can be asked/);
  });

  test('why: the group is not activated', async () => {
    await form(servers);
    await first.kill();
    await saysWhy(
      'A failover is wanted, because the primary does not answer.',
      'the group is not activated',
      /Candidates are .*, .*\./,
    );
  });

  test('why: there is no primary', async () => {
    await form(servers);
    await call('group.demote', 'g');
    await saysWhy('It has no primary', "'group.promote g' does");
  });

  test('why: the failover interval is not over', async () => {
    await form(servers, { failoverInterval: 3_600 });
    await call('group.activate', 'g');
    await first.kill();
    await until(async () => sentences.some(sentence => sentence.includes('the failover of group g waits')));
    await saysWhy(
      /It waits until \S+: the failover interval of 3600 s/,
      'What the detector thinks of the primary: it is dead',
    );
    const waiting = (await call('event.log', 'g', 100)).rows.filter(({ event }) => event === 'waiting');
    expect(waiting.map(({ asked_by }) => asked_by)).toEqual(['FailureDetector(g)']);
  });

  test('why: all candidates have errant transactions; a failover that fails is tried again, ever later', async () => {
    await form(servers);
    for (const server of [second, third]) await diverge(server);
    const errant = await uuidOf(second);
    await call('group.activate', 'g');
    await first.kill();
    const text = await saysWhy(
      'A failover is wanted, because the primary is FAULTY.',
      'There is no candidate.',
      `${second.address} is no candidate: it has errant transactions: ${errant}:1.`,
      /It waits until \S+ \(back-off after [2-9] failed attempts\): GroupError: There is no valid candidate/,
    );
    expect(text).not.toContain('Candidates are');
    const waits = (await call('event.log', 'g', 1_000)).rows.filter(({ event }) => event === 'waiting');
    const delays = waits.map(({ description }) => Number(/tried again in (\d+) s/.exec(String(description))?.[1]));
    expect(delays.slice(0, 2)).toEqual([1, 2]);
    await first.start();
    await until(async () => (await row(first))?.status === 'PRIMARY');
    await saysWhy('No failover is wanted');
  });

  test('why: paused witnesses, and only a spare', async () => {
    await form(servers);
    await call('server.set_status', third.address, 'SPARE');
    await call('group.activate', 'g');
    second.pause();
    await first.kill();
    await saysWhy(
      /back-off after/,
      new RegExp(
        `${second.address} is no candidate: it does not answer|${second.address} is no candidate: it is FAULTY`,
      ),
      `${third.address} is no candidate: it is a SPARE`,
    );
    second.resume();
  });

  test('health: errant and missing transactions, a stopped applier, a paused server, all in bounded time', async () => {
    await form(servers);
    await second.query(version === '5.6' ? 'STOP SLAVE SQL_THREAD' : 'STOP REPLICA SQL_THREAD');
    await first.query('CREATE TABLE app.later (id INT)');
    await diverge(third);
    const [primary, behind, errant] = await Promise.all([first, second, third].map(uuidOf));
    const health = async () => {
      const { rows, resultSets } = await call('group.health', 'g');
      return {
        of: (uuid = '') => rows.find(each => each.uuid === uuid),
        issues: resultSets[1]?.rows.flat().join('\n'),
      };
    };
    await until(async () => (await health()).of(errant)?.gtids_missing === '');
    const { of, issues } = await health();
    const own = version === '5.6' ? { super_read_only: null } : { super_read_only: 'OFF' };
    expect(of(primary)).toMatchObject({ is_alive: true, status: 'PRIMARY', fencing: 'open', read_only: 'OFF', ...own });
    expect(of(behind)).toMatchObject({
      sql_not_running: true,
      seconds_behind: null,
      gtids_errant: '',
      fencing: 'fenced',
    });
    expect(of(behind)?.gtids_missing).toMatch(new RegExp(`^${primary}:\\d+$`));
    expect(of(errant)).toMatchObject({
      gtids_errant: `${errant}:1`,
      seconds_behind: expect.stringMatching(/^\d+$/),
      fencing: 'open',
      ...own,
    });
    expect(issues).toContain(`Server (${errant}) has errant transactions: ${errant}:1.`);
    expect(issues).toContain(`Server (${errant}) accepts writes`);
    second.pause();
    third.pause();
    const began = performance.now();
    const { of: frozen } = await health();
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(frozen(behind)).toMatchObject({ is_alive: false, status: 'FAULTY', gtids_missing: null, fencing: null });
    expect(frozen(primary)).toMatchObject({ is_alive: true });
    second.resume();
    third.resume();
  });

  test('an emptied server is not taken back: replication would skip what it wrote itself', async () => {
    await form(servers);
    await first.query('CREATE TABLE app.mine (id INT)');
    await call('threat.report_failure', first.address);
    const uuid = await uuidOf(first);
    await first.reset();
    expect(await refusal('server.set_status', first.address, 'SPARE')).toMatch(
      new RegExp(`^ServerError: Server \\(${uuid}\\) was emptied: .*${uuid}:1.*server_uuid`),
    );
    await call('group.remove', 'g', first.address);
    expect(await refusal('group.add', 'g', first.address)).toContain('was emptied');
  });

  test('nor does it count as a secondary when it is to follow a new primary, or comes back by itself', async () => {
    await form(servers, { detectionInterval: 30, detections: 60 }); // a restart is not taken for a loss
    for (const server of servers) {
      if (server !== first) await call('group.promote', 'g', server.address);
      await server.query(`CREATE TABLE app.of_${server.port} (id INT)`);
    }
    await second.reset();
    await call('group.promote', 'g', first.address);
    expect(sentences.join('\n')).toMatch(/is FAULTY, it cannot follow the new primary: Server \(.*\) was emptied/);
    await call('group.activate', 'g');
    await third.reset();
    await third.restart();
    await until(async () => (await row(third))?.status === 'FAULTY');
    expect(sentences.join('\n')).toMatch(/came back but does not follow the primary: Server \(.*\) was emptied/);
    expect((await row(second))?.status).toBe('FAULTY');
    expect((await row(first))?.status).toBe('PRIMARY');
    // A fence ends all clients of its server, the next test's, too.
    for (const server of [second, third]) {
      const uuid = await uuidOf(server);
      await until(async () => sentences.some(each => each.includes(uuid) && each.includes('came back and is fenced')));
    }
  });

  test('manage.stop stops it: the call is answered, and a procedure under way ends', async () => {
    await form(servers);
    const { host, port } = fabric.address.xmlrpc;
    const rpc = new FabricRpc([{ host, port, ...ACCOUNT, tls: null }], 20_000);
    const promoting = rpc.ask('group.promote', ['g', second.address], 'change');
    await until(async () => (await row(first))?.status !== 'PRIMARY');
    const stopped = fabric.stopped();
    expect((await rpc.ask('manage.stop', [], 'change')).error).toBe('');
    expect((await promoting).error).toBe('');
    await stopped;
    rpc.close();
    await start();
    expect((await row(second))?.status).toBe('PRIMARY');
  });
});
