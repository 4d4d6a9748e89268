import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { promote } from '../../src/fabric/procedures/promote.js';
import { type Mysqld, startMysqlds } from '../../src/testing.js';
import { GROUP, HaGroup, intercept, until } from './ha-group.js';

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

  test('the best secondary is chosen by itself; a spare only by name', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
    await ha.change(second, { weight: 0.5 });
    await ha.do(to(null));
    expect(await ha.expectOnePrimary()).toBe(third);
    await ha.change(second, { status: 1, mode: 0 });
    await ha.change(first, { status: 1, mode: 0 });
    expect(await ha.refuse(to(null))).toBe(
      `GroupError: There is no valid candidate that can be automatically chosen in group (${GROUP}). Please, choose one manually.`,
    );
    await ha.do(to(ha.uuid(second)));
    expect(await ha.statuses()).toEqual(['SPARE', 'PRIMARY', 'SECONDARY']);
    expect(await ha.expectOnePrimary()).toBe(second);
  });

  test('a frozen primary is not waited for any longer, and the refusal says what to do', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [first, second] = servers as [Mysqld, Mysqld, Mysqld];
    first.pause();
    try {
      const refusal = await ha.refuse(to(ha.uuid(second)));
      expect(refusal).toContain(
        `DatabaseError: The primary (${ha.uuid(first)}, 127.0.0.1:${first.port}) does not answer`,
      );
      expect(refusal).toContain(`'threat report_failure ${ha.uuid(first)}' makes another server take over.`);
    } finally {
      first.resume();
    }
    expect(await ha.expectOnePrimary()).toBe(first);
  });

  test('what cannot be promoted is refused, and nothing changes', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [first, second, third] = servers as [Mysqld, Mysqld, Mysqld];
    expect(await ha.refuse(promote({ group: 'none', candidate: null, updateOnly: false }))).toBe(
      'GroupError: Group (none) does not exist.',
    );
    expect(await ha.refuse(to('127.0.0.1:1'))).toBe(
      `GroupError: Group (${GROUP}) does not contain server (127.0.0.1:1).`,
    );
    expect(await ha.refuse(to(first.address))).toBe(
      `ServerError: Candidate slave (${ha.uuid(first)}) is already master.`,
    );
    expect(await ha.refuse(to(null, true))).toContain('The new master must be specified');
    await second.query(version === '5.6' ? 'STOP SLAVE SQL_THREAD' : 'STOP REPLICA SQL_THREAD');
    expect(await ha.refuse(to(ha.uuid(second)))).toContain('its applier is stopped');
    await third.query('SET GLOBAL read_only = OFF');
    await third.query('CREATE TABLE app.errant (id INT)');
    expect(await ha.refuse(to(ha.uuid(third)))).toContain(`${ha.uuid(third)}:1`);
    const refusal = await ha.refuse(to(null));
    expect(refusal).toMatch(/^GroupError: There is no valid candidate /);
    expect(refusal).toContain('its applier is stopped');
    expect(refusal).toContain(`${ha.uuid(third)}:1`);
    expect(await ha.statuses()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
    expect((await ha.group()).primary).toBe(ha.uuid(first));
  });

  test('update_only changes the store alone', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [first, second] = servers as [Mysqld, Mysqld];
    await ha.do(to(ha.uuid(second), true));
    expect(await ha.statuses()).toEqual(['SECONDARY', 'PRIMARY', 'SECONDARY']);
    expect(await ha.writable()).toEqual([first]);
  });

  test('update_only in a watched group leaves the servers as they are, until an operator has made them so', async () => {
    ha = new HaGroup(servers, { failureTracking: { detectionInterval: 1, detections: 2 } });
    await ha.form();
    ha.watch();
    const [first, second] = servers as [Mysqld, Mysqld];
    const word = version === '5.6' ? 'SLAVE' : 'REPLICA';
    const source = async (server: Mysqld) => {
      // Who is closed loses its clients, this one too.
      const [row] = await server.query(`SHOW ${word} STATUS`).catch(() => []);
      return Number(row?.Source_Port ?? row?.Master_Port);
    };
    await ha.do(to(ha.uuid(second), true));
    await sleep(2_500);
    expect(await ha.writable()).toEqual([first]);
    expect(await source(second)).toBe(first.port);

    await first.query('SET GLOBAL read_only = ON');
    const [written] = await first.query('SELECT @@GLOBAL.gtid_executed AS gtids');
    await until(async () => {
      const [row] = await second.query('SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed) AS has', [written?.gtids]);
      return row?.has === 1;
    });
    for (const statement of [`STOP ${word}`, `RESET ${word} ALL`, 'SET GLOBAL read_only = OFF'])
      await second.query(statement);
    await until(async () => !(await ha.record(second)).byHand);
    await until(async () => (await source(first)) === second.port).catch(error => {
      throw new Error(`${error}\n${ha.sentences.join('\n')}`);
    });
    expect(await ha.expectOnePrimary()).toBe(second);
    expect(await ha.statuses()).toEqual(['SECONDARY', 'PRIMARY', 'SECONDARY']);
  });

  test('a secondary that cannot follow the new primary becomes FAULTY, the promotion stands', async () => {
    ha = new HaGroup(servers);
    await ha.form();
    const [, second, third] = servers as [Mysqld, Mysqld, Mysqld];
    await third.query('SET GLOBAL read_only = OFF');
    await third.query('CREATE TABLE app.errant (id INT)');
    await ha.do(to(ha.uuid(second)));
    expect(await ha.statuses()).toEqual(['SECONDARY', 'PRIMARY', 'FAULTY']);
    expect(ha.sentences.join('\n')).toContain(`lacks: ${ha.uuid(third)}:1`);
  });
});

describe('a switchover during which a server dies', () => {
  let servers: Mysqld[];
  let ha: HaGroup;

  beforeAll(async () => {
    servers = await startMysqlds(3);
  });
  afterAll(() => Promise.all(servers.map(server => server.remove())));
  afterEach(() => ha.stop());

  /** Kills `server` at the `nth` call of `method` on it, before or after the call is carried out. */
  function killedAt(server: Mysqld, method: string, nth: number, when: 'before' | 'after'): HaGroup {
    let calls = 0;
    const kill = async (port: number, called: string) => {
      if (!armed || port !== server.port || called !== method) return;
      calls += 1;
      if (calls === nth) await server.kill();
    };
    return new HaGroup(servers, { wrap: real => intercept(real, { [when]: kill }) });
  }
  let armed = false;

  test.each([
    ['waitForExecuted', 1, 'before'],
    ['waitForExecuted', 1, 'after'],
    ['waitForExecuted', 2, 'before'],
    ['waitForExecuted', 2, 'after'],
    ['forgetSource', 1, 'before'],
    ['forgetSource', 1, 'after'],
    ['setSemiSync', 1, 'after'],
    ['unfence', 1, 'before'],
    ['unfence', 1, 'after'],
  ] as const)(
    'the candidate, at %s (call %i, %s it): the old primary takes the writes again',
    async (method, nth, when) => {
      const [first, second] = servers as [Mysqld, Mysqld];
      armed = false;
      ha = killedAt(second, method, nth, when);
      await ha.form();
      armed = true;
      expect(await ha.refuse(to(ha.uuid(second)))).not.toBe('');
      expect(second.running).toBe(false);
      expect(await ha.expectOnePrimary()).toBe(first);
      // What comes back is either a secondary that was never opened, or it is fenced.
      ha.watch();
      await second.query('DO 1').catch(() => second.start());
      await until(async () => !(await ha.record(second)).needsFencing);
      expect((await ha.group()).primary).toBe(ha.uuid(first));
    },
  );

  test.each([
    ['fence', 1, 'before'],
    ['fence', 1, 'after'],
    ['executed', 2, 'before'],
    ['executed', 3, 'before'],
    ['killClients', 1, 'before'],
    ['killClients', 1, 'after'],
    ['follow', 1, 'before'],
  ] as const)(
    'the old primary, at %s (call %i, %s it): one of the others takes the writes',
    async (method, nth, when) => {
      const [first] = servers as [Mysqld];
      armed = false;
      ha = killedAt(first, method, nth, when);
      await ha.form();
      ha.watch();
      armed = true;
      await ha.runner.run(to(null)).done;
      await until(async () => (await ha.writable()).length === 1 && !ha.runner.busy(GROUP));
      expect(first.running).toBe(false);
      expect(await ha.expectOnePrimary()).not.toBe(first);
      await first.start();
      await until(async () => !(await ha.record(first)).needsFencing);
      await ha.expectOnePrimary();
    },
  );

  // Only before a call: a thread of a server that is being paused may still answer one statement.
  test.each([
    ['forgetSource', 'before'],
    ['unfence', 'before'],
  ] as const)(
    'the candidate freezes at %s (%s it): the old primary takes the writes again, the candidate is fenced',
    async (method, when) => {
      const [first, second] = servers as [Mysqld, Mysqld];
      let frozen = false;
      armed = false;
      const freeze = async (port: number, called: string) => {
        if (!armed || frozen || port !== second.port || called !== method) return;
        frozen = true;
        second.pause();
      };
      ha = new HaGroup(servers, { wrap: real => intercept(real, { [when]: freeze }) });
      await ha.form();
      armed = true;
      await ha.refuse(to(ha.uuid(second)));
      expect((await ha.group()).primary).toBe(ha.uuid(first));
      expect((await ha.record(second)).status).toBe(0);
      ha.watch();
      second.resume();
      await until(async () => !(await ha.record(second)).needsFencing);
      expect(await ha.expectOnePrimary()).toBe(first);
    },
  );

  test('taken back, and the candidate has its source again but does not run: it is started', async () => {
    const [first, second] = servers as [Mysqld, Mysqld];
    armed = false;
    const fail = async (port: number, called: string) => {
      if (!armed || port !== second.port || called !== 'unfence') return;
      armed = false;
      const session = await ha.context.replication.connect(second, 1_000);
      await session.follow(first);
      await session.stopReplication();
      session.close();
      throw new Error('no');
    };
    ha = new HaGroup(servers, { wrap: real => intercept(real, { before: fail }) });
    await ha.form();
    armed = true;
    expect(await ha.refuse(to(ha.uuid(second)))).toBe('no');
    expect(await ha.expectOnePrimary()).toBe(first);
    await first.query('CREATE TABLE app.afterwards (id INT)');
    await until(async () => (await second.query("SHOW TABLES IN app LIKE 'afterwards'")).length === 1);
  });

  test('the new primary dies before anybody follows it: the others stay fit to take over', async () => {
    const [, second] = servers as [Mysqld, Mysqld];
    armed = false;
    const kill = async (_port: number, called: string) => {
      if (armed && called === 'follow') await second.kill();
    };
    ha = new HaGroup(servers, { wrap: real => intercept(real, { before: kill }) });
    await ha.form();
    armed = true;
    await ha.do(to(ha.uuid(second)));
    armed = false;
    expect(await ha.statuses()).toEqual(['SECONDARY', 'PRIMARY', 'SECONDARY']);
    ha.watch();
    await until(async () => (await ha.statuses())[1] === 'FAULTY' && !ha.runner.busy(GROUP));
    expect(await ha.expectOnePrimary()).not.toBe(second);
  });

  test('the old primary freezes while it is blocked: another takes the writes', async () => {
    const [first] = servers as [Mysqld];
    armed = false;
    const freeze = async (port: number, called: string) => {
      if (!armed || port !== first.port || called !== 'fence') return;
      armed = false;
      first.pause();
    };
    ha = new HaGroup(servers, { wrap: real => intercept(real, { after: freeze }) });
    await ha.form();
    ha.watch();
    armed = true;
    await ha.runner.run(to(null)).done;
    await until(async () => {
      const { primary } = await ha.group();
      return primary !== null && primary !== ha.uuid(first) && !ha.runner.busy(GROUP);
    });
    first.resume();
    await until(async () => !(await ha.record(first)).needsFencing);
    expect(await ha.expectOnePrimary()).not.toBe(first);
  });
});
