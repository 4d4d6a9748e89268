import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Decision,
  type GroupRecord,
  type RunRecord,
  type ServerRecord,
  type Store,
  StoreConflict,
  type UserRecord,
} from '../../src/fabric/store/store.js';

/** What every state store must do, and those that outlive their node; run by one small test file per store. */

const server = (n: number, change: Partial<ServerRecord> = {}): ServerRecord => ({
  uuid: `0000000${n}-0000-4000-8000-000000000000`,
  host: 'db.example',
  port: 3300 + n,
  status: 2,
  mode: 1,
  weight: 1,
  needsFencing: false,
  byHand: false,
  ...change,
});

const group = (id: string, servers: readonly ServerRecord[] = []): Omit<GroupRecord, 'version'> => ({
  id,
  description: null,
  active: false,
  primary: null,
  primarySince: null,
  baseline: null,
  servers,
});

const run = (uuid: string, change: Partial<RunRecord> = {}): RunRecord => ({
  uuid,
  procedure: 'group.promote',
  group: 'g',
  step: 0,
  data: '{"candidate":null}',
  finished: false,
  error: null,
  events: [{ state: 3, success: 2, at: 1_000, description: 'Triggered by group.promote.' }],
  ...change,
});

const decision = (sentence: string, change: Partial<Decision> = {}): Decision => ({
  at: 1_000,
  group: 'g',
  server: null,
  event: 'waiting',
  by: 'detector',
  sentence,
  ...change,
});

const user = (name: string, change: Partial<UserRecord> = {}): UserRecord => ({
  name,
  protocol: 'xmlrpc',
  password: 'cafe',
  roles: ['connector'],
  ...change,
});

const uuidOf = (n: number) => server(n).uuid;

export function storeContract(name: string, make: () => Promise<Store>): void {
  describe(`store: ${name}`, () => {
    let store: Store;

    beforeEach(async () => {
      store = await make();
      await store.open();
    });
    afterEach(() => store.close());

    it('is empty at first', async () => {
      expect(await store.groups()).toEqual([]);
      expect(await store.group('g')).toBeUndefined();
      expect(await store.groupOfServer(uuidOf(1))).toBeUndefined();
      expect(await store.unfinishedRuns()).toEqual([]);
      expect(await store.countReports(uuidOf(1), 0)).toEqual({ reports: 0, reporters: 0 });
    });

    it('gives back what was stored, ordered by id and by uuid', async () => {
      const full = { ...group('b', [server(2), server(1)]), description: 'two', active: true, primary: uuidOf(1) };
      const created = await store.createGroup({ ...full, primarySince: 5, baseline: 'a:1-3' });
      await store.createGroup(group('a'));
      expect((await store.groups()).map(({ id }) => id)).toEqual(['a', 'b']);
      expect(created.servers).toEqual([server(1), server(2)]);
      expect(created).toMatchObject({ ...full, servers: [server(1), server(2)], primarySince: 5, baseline: 'a:1-3' });
      expect(await store.group('b')).toEqual(created);
    });

    it('refuses a second group of the same name', async () => {
      await store.createGroup(group('g'));
      await expect(store.createGroup(group('g'))).rejects.toBeInstanceOf(StoreConflict);
    });

    it('lets only the first of two writers win', async () => {
      const read = await store.createGroup(group('g'));
      const saved = await store.saveGroup({ ...read, description: 'first' });
      await expect(store.saveGroup({ ...read, description: 'second' })).rejects.toBeInstanceOf(StoreConflict);
      await expect(store.deleteGroup('g', read.version)).rejects.toBeInstanceOf(StoreConflict);
      expect(await store.group('g')).toEqual(saved);
      expect(saved.description).toBe('first');
    });

    it('lets only one of two concurrent writers win', async () => {
      const read = await store.createGroup(group('g'));
      const outcomes = await Promise.allSettled(
        ['x', 'y'].map(description => store.saveGroup({ ...read, description })),
      );
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    it('never lets a version outlive its group', async () => {
      const old = await store.createGroup(group('g'));
      await store.deleteGroup('g', old.version);
      expect(await store.group('g')).toBeUndefined();
      await expect(store.saveGroup(old)).rejects.toBeInstanceOf(StoreConflict);
      await store.createGroup(group('g'));
      await expect(store.saveGroup(old)).rejects.toBeInstanceOf(StoreConflict);
    });

    it('finds the group of a server by uuid and by address', async () => {
      const created = await store.createGroup(group('g', [server(1), server(2)]));
      expect(await store.groupOfServer(uuidOf(2))).toEqual(created);
      expect(await store.groupOfServer({ host: 'db.example', port: 3302 })).toEqual(created);
      expect(await store.groupOfServer({ host: 'DB.Example', port: 3302 })).toEqual(created);
      expect(await store.groupOfServer({ host: 'db.example', port: 3303 })).toBeUndefined();
      const saved = await store.saveGroup({ ...created, servers: [server(1)] });
      expect(await store.groupOfServer(uuidOf(1))).toEqual(saved);
      expect(await store.groupOfServer(uuidOf(2))).toBeUndefined();
      await store.deleteGroup('g', saved.version);
      expect(await store.groupOfServer(uuidOf(1))).toBeUndefined();
    });

    it('has no uuid and no address in two groups, nor twice in one', async () => {
      await store.createGroup(group('g', [server(1)]));
      const other = await store.createGroup(group('h', [server(2)]));
      const refused = [
        [server(1)],
        [server(3, { port: 3301 })],
        [server(3), server(4, { port: 3303 })],
        [server(3), server(3, { port: 3304 })],
      ];
      for (const servers of refused) {
        await expect(store.saveGroup({ ...other, servers })).rejects.toBeInstanceOf(StoreConflict);
        await expect(store.createGroup(group('i', servers))).rejects.toBeInstanceOf(StoreConflict);
      }
      expect(await store.group('h')).toEqual(other);
      expect(await store.group('i')).toBeUndefined();
    });

    it('grows its revision with every change of a group, and with no refused one', async () => {
      const seen = [store.revision];
      const created = await store.createGroup(group('g'));
      seen.push(store.revision);
      const saved = await store.saveGroup(created);
      seen.push(store.revision);
      await expect(store.saveGroup(created)).rejects.toThrow();
      expect(store.revision).toBe(seen.at(-1));
      await store.deleteGroup('g', saved.version);
      seen.push(store.revision);
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    });

    it('hands out values that later changes leave alone', async () => {
      const servers = [server(1)];
      const created = await store.createGroup(group('g', servers));
      servers.push(server(2));
      const before = await store.groups();
      await store.saveGroup({ ...created, description: 'new', servers: [] });
      expect(before).toEqual([created]);
      expect(created.servers).toEqual([server(1)]);
    });

    it('counts reports by server and time, and forgets those of a removed server', async () => {
      const created = await store.createGroup(group('g', [server(1), server(2)]));
      const add = (n: number, at: number, since: number, reporter = 'app') =>
        store.addReport({ server: uuidOf(n), reporter, error: "it's gone", at }, since);
      expect(await add(1, 1_000, 0)).toEqual({ reports: 1, reporters: 1 });
      expect(await add(1, 2_000, 1_000, "o'app")).toEqual({ reports: 2, reporters: 2 });
      expect(await add(1, 2_000, 1_001)).toEqual({ reports: 2, reporters: 2 });
      expect(await add(2, 1_500, 0)).toEqual({ reports: 1, reporters: 1 });
      expect(await add(9, 1_500, 0)).toEqual({ reports: 0, reporters: 0 });
      expect(await store.countReports(uuidOf(1), 1_000)).toEqual({ reports: 3, reporters: 2 });
      expect(await store.countReports(uuidOf(1), 2_001)).toEqual({ reports: 0, reporters: 0 });
      const saved = await store.saveGroup({ ...created, servers: [server(2)] });
      await store.saveGroup({ ...saved, servers: [server(1), server(2)] });
      expect(await store.countReports(uuidOf(1), 0)).toEqual({ reports: 0, reporters: 0 });
      expect(await store.countReports(uuidOf(2), 0)).toEqual({ reports: 1, reporters: 1 });
      await store.forgetReports(uuidOf(2));
      expect(await store.countReports(uuidOf(2), 0)).toEqual({ reports: 0, reporters: 0 });
    });

    it('tells each of a flood of reports how many there are, itself included', async () => {
      await store.createGroup(group('g', [server(1), server(2)]));
      const counts = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          store.addReport({ server: uuidOf(1 + (n % 2)), reporter: `app ${n % 8}`, error: '2013', at: 1_000 }, 500),
        ),
      );
      for (const [n, { reports }] of counts.entries()) expect(reports).toBeGreaterThan(n / 2);
      expect(counts.slice(-2)).toEqual([
        { reports: 20, reporters: 4 },
        { reports: 20, reporters: 4 },
      ]);
    });

    it('bounds the reports it keeps, by age and by number', async () => {
      await store.createGroup(group('g', [server(1)]));
      const report = (at: number) => ({ server: uuidOf(1), reporter: 'app', error: '', at });
      await store.addReport(report(0), 0);
      await store.addReport(report(3_600_001), 0);
      expect((await store.countReports(uuidOf(1), 0)).reports).toBe(1);
      for (let flood = 0; flood < 30; flood += 1) {
        await Promise.all(Array.from({ length: 500 }, () => store.addReport(report(3_600_002), 3_600_000)));
      }
      const { reports: kept } = await store.countReports(uuidOf(1), 0);
      // As many as [failure_tracking] notifications may ask for.
      expect(kept).toBeGreaterThanOrEqual(10_000);
      expect(kept).toBeLessThanOrEqual(11_000);
    });

    it('keeps runs, and tells the unfinished ones', async () => {
      await store.saveRun(run('r1'));
      await store.saveRun(run('r2'));
      await store.saveRun(run('r1', { step: 1 }));
      expect(await store.run('r1')).toEqual(run('r1', { step: 1 }));
      expect((await store.unfinishedRuns()).map(({ uuid }) => uuid).sort()).toEqual(['r1', 'r2']);
      const ended = run('r1', { step: 1, finished: true, error: 'GroupError: no.' });
      await store.saveRun(ended);
      expect(await store.run('r1')).toEqual(ended);
      expect((await store.unfinishedRuns()).map(({ uuid }) => uuid)).toEqual(['r2']);
    });

    it('keeps the latest 1,000 finished runs, and every unfinished one', async () => {
      await store.saveRun(run('open'));
      for (let n = 0; n < 1_010; n += 1) await store.saveRun(run(`done-${n}`, { finished: true }));
      await store.saveRun(run('open', { step: 1 }));
      expect(await store.run('done-10')).toBeDefined();
      expect(await store.run('done-1009')).toBeDefined();
      expect((await store.unfinishedRuns()).map(({ uuid }) => uuid)).toEqual(['open']);
    });

    it('keeps the runs of a procedure whatever floods of others come', async () => {
      await store.saveRun(run('promoted', { finished: true }));
      const report = { procedure: 'threat.report_error', finished: true };
      for (let n = 0; n < 1_210; n += 1) await store.saveRun(run(`report-${n}`, report));
      expect(await store.run('promoted')).toBeDefined();
      expect(await store.run('report-0')).toBeUndefined();
      expect(await store.run('report-1209')).toBeDefined();
    });

    it('keeps the latest of the runs that are only noted, in floods', async () => {
      const noted = (n: number) => run(`noted-${n}`, { procedure: n % 3 ? 'a' : 'b', finished: true });
      for (let flood = 0; flood < 6; flood += 1)
        await Promise.all(Array.from({ length: 450 }, (_, n) => store.noteRun(noted(flood * 450 + n))));
      expect(await store.run('noted-1')).toBeUndefined();
      for (const n of [2_699, 2_698, 1_300, 0, 3]) expect(await store.run(`noted-${n}`)).toEqual(noted(n));
    });

    it('keeps decisions in their order, by group', async () => {
      expect(await store.decisions(null, 10)).toEqual([]);
      const all = [
        decision("it's one", { server: uuidOf(1), event: 'faulty', by: 'a \\ "b"' }),
        decision('two', { group: 'h', at: 5 }),
        decision('three'),
      ];
      await Promise.all(all.map(each => store.addDecision(each)));
      expect(await store.decisions(null, 10)).toEqual(all);
      expect(await store.decisions('g', 10)).toEqual([all[0], all[2]]);
      expect(await store.decisions('g', 1)).toEqual([all[2]]);
      expect(await store.decisions('g', 0)).toEqual([]);
      expect(await store.decisions('nobody', 10)).toEqual([]);
    });

    it("bounds a group's decisions, and leaves those of others", async () => {
      await store.addDecision(decision('other', { group: 'h' }));
      for (let flood = 0; flood < 13; flood += 1) {
        await Promise.all(Array.from({ length: 100 }, (_, n) => store.addDecision(decision(`${flood * 100 + n}`))));
      }
      const kept = await store.decisions('g', 10_000);
      expect(kept.length).toBeGreaterThanOrEqual(900);
      expect(kept.length).toBeLessThanOrEqual(1_200);
      expect(kept.at(-1)).toEqual(decision('1299'));
      expect(await store.decisions('h', 10)).toEqual([decision('other', { group: 'h' })]);
    });

    it('counts calls, and the promotions and demotions of a group until it is gone', async () => {
      expect(await store.counts('command')).toEqual([]);
      const count = (subject: string, event: string, total: number) => ({
        kind: 'command' as const,
        ...{ subject, event, total },
      });
      await store.addCounts([count('b', 'called', 2), count('a', 'called', 1)]);
      await store.addCounts([count('b', 'called', 3), count('b', 'failed', 1)]);
      expect(await store.counts('command')).toEqual([
        count('a', 'called', 1),
        count('b', 'called', 5),
        count('b', 'failed', 1),
      ]);
      const created = await store.createGroup(group('g'));
      for (const event of ['promoted', 'demoted', 'promoted', 'faulty'] as const)
        await store.addDecision(decision('', { event }));
      expect(await store.counts('group')).toEqual([
        { kind: 'group', subject: 'g', event: 'demoted', total: 1 },
        { kind: 'group', subject: 'g', event: 'promoted', total: 2 },
      ]);
      await store.saveGroup(created);
      expect((await store.counts('group')).length).toBe(2);
      await store.deleteGroup('g', (await store.group('g'))?.version ?? 0);
      expect(await store.counts('group')).toEqual([]);
      expect((await store.decisions('g', 10)).length).toBe(4);
    });

    it('keeps users by name and protocol, and has what was changed at once', async () => {
      expect(store.users).toEqual([]);
      const before = store.revision;
      const [admin, app] = [user('admin', { roles: [], password: null }), user('app', { protocol: 'mysql' })];
      await store.changeUsers(() => [app, user('app'), admin]);
      expect(store.users).toEqual([admin, app, user('app')]);
      expect(store.revision).toBeGreaterThan(before);
      const seen = store.users;
      await store.changeUsers(users =>
        users.filter(({ name }) => name === 'app').map(each => ({ ...each, roles: [] })),
      );
      expect(store.users).toEqual([app, user('app')].map(each => ({ ...each, roles: [] })));
      expect(seen).toEqual([admin, app, user('app')]);
    });

    it('tells names of users apart by case, and leaves all as they were when a change is refused', async () => {
      await store.changeUsers(() => [user('app'), user('APP')]);
      const before = [store.users, store.revision];
      const refused = store.changeUsers(() => {
        throw new RangeError('no');
      });
      await expect(refused).rejects.toThrow(new RangeError('no'));
      expect([store.users, store.revision]).toEqual(before);
      expect(store.users.map(({ name }) => name)).toEqual(['APP', 'app']);
      await store.createGroup(group('g'));
      expect(store.users).toBe(before[0]);
    });

    it('loses no user when many are added at the same time', async () => {
      const names = Array.from({ length: 10 }, (_, n) => `u${n}`);
      await Promise.all(names.map(name => store.changeUsers(users => [...users, user(name)])));
      expect(store.users.map(({ name }) => name)).toEqual(names);
    });
  });
}

/** `make` gives a store on an empty database, `again` another one on the same. */
export function durableStoreContract(name: string, make: () => Promise<Store>, again: () => Promise<Store>): void {
  describe(`durable store: ${name}`, () => {
    let store: Store;
    let other: Store;

    beforeEach(async () => {
      store = await make();
      await store.open();
      other = await again();
      await other.open();
    });
    afterEach(() => Promise.all([store.close(), other.close()]));

    const reopened = async () => {
      await Promise.all([store.close(), other.close()]);
      store = await again();
      await store.open();
    };

    it('belongs to one node, which others learn by name, until that closes it', async () => {
      const losses: Error[] = [];
      await store.claim(error => losses.push(error));
      await expect(other.claim(() => {})).rejects.toThrow(/^Another node uses the state store .+\.$/);
      // Whoever is no node goes on working on it.
      await other.createGroup(group('g'));
      await store.close();
      await other.claim(() => {});
      expect(losses).toEqual([]);
    });

    it('finds everything again when it is opened anew', async () => {
      const full = {
        ...group('g', [server(1), server(2, { weight: 0.25, needsFencing: true, byHand: true })]),
        primary: uuidOf(1),
      };
      const created = await store.createGroup({
        ...full,
        description: "d\u00e9j\u00e0 'vu' \\ \u{1f980}",
        active: true,
        primarySince: 1_795_290_654_123,
        baseline: 'a:1-3,b:1',
      });
      await store.addReport({ server: uuidOf(1), reporter: 'app', error: "it's gone", at: 5 }, 0);
      const ended = run('r1', { step: 2, finished: true, error: 'GroupError: no.', data: '{"a":"\\\\"}' });
      await store.saveRun(ended);
      await store.addDecision(decision('kept'));
      await store.addCounts([{ kind: 'command', subject: 'group.add', event: 'called', total: 7 }]);
      const { revision } = store;
      await reopened();
      expect(await store.decisions('g', 10)).toEqual([decision('kept')]);
      expect((await store.counts('command')).map(({ total }) => total)).toEqual([7]);
      expect(await store.groups()).toEqual([created]);
      expect(store.revision).toBe(revision);
      expect(await store.countReports(uuidOf(1), 0)).toEqual({ reports: 1, reporters: 1 });
      expect(await store.run('r1')).toEqual(ended);
      const saved = await store.saveGroup({ ...created, description: null });
      expect(saved.version).toBeGreaterThan(created.version);
    });

    it('is opened and closed as often as one likes', async () => {
      await store.createGroup(group('g'));
      await store.close();
      await store.open();
      expect((await store.groups()).map(({ id }) => id)).toEqual(['g']);
    });

    it('tells unfinished runs in the order in which they began', async () => {
      for (const uuid of ['r3', 'r1', 'r2', 'r4']) await store.saveRun(run(uuid));
      await store.saveRun(run('r3', { step: 1 }));
      await store.saveRun(run('r1', { finished: true }));
      await reopened();
      expect(await store.unfinishedRuns()).toEqual([run('r3', { step: 1 }), run('r2'), run('r4')]);
    });

    it('sees the changes of others, and its revision grows with them, within a second', async () => {
      const seen = async (what: () => Promise<boolean>) => {
        const deadline = performance.now() + 1_000;
        while (!(await what())) expect(performance.now()).toBeLessThan(deadline);
      };
      const { revision } = other;
      const created = await store.createGroup(group('g', [server(1)]));
      await expect.poll(() => other.revision, { timeout: 1_000, interval: 10 }).toBeGreaterThan(revision);
      expect(await other.group('g')).toEqual(created);
      const saved = await store.saveGroup({ ...created, servers: [server(2)] });
      await seen(async () => (await other.groupOfServer(uuidOf(1))) === undefined);
      expect(await other.groupOfServer(uuidOf(2))).toEqual(saved);
      await store.deleteGroup('g', saved.version);
      await seen(async () => (await other.groups()).length === 0);
      expect(other.revision).toBe(store.revision);
    });

    it('has the users that others have made, within a second, and adds to them', async () => {
      await store.changeUsers(() => [user('app', { roles: ['connector', 'monitor'] })]);
      await expect.poll(() => other.users, { timeout: 1_000, interval: 10 }).toEqual(store.users);
      await Promise.all([
        store.changeUsers(users => [...users, user('b')]),
        other.changeUsers(users => [...users, user('c')]),
      ]);
      await reopened();
      expect(store.users.map(({ name }) => name)).toEqual(['app', 'b', 'c']);
      await store.changeUsers(() => []);
      await reopened();
      expect(store.users).toEqual([]);
    });

    it('never hands out what is older than its revision', async () => {
      let group_ = await store.createGroup(group('g'));
      for (let n = 0; n < 20; n += 1) {
        group_ = await store.saveGroup({ ...group_, description: `${n}` });
        const { revision } = other;
        expect((await other.group('g'))?.version ?? 0).toBeGreaterThanOrEqual(revision);
      }
    });

    it('lets only one of two stores win that write at the same time', async () => {
      const read = await store.createGroup(group('g'));
      for (let n = 0; n < 10; n += 1) {
        const current = (await store.group('g')) ?? read;
        const outcomes = await Promise.allSettled(
          [store, other].map(each => each.saveGroup({ ...current, description: `${n}` })),
        );
        expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
        const [lost] = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason] : []));
        expect(lost).toBeInstanceOf(StoreConflict);
        // Who has lost reads the newest, and then wins.
        const newest = await Promise.all([store.group('g'), other.group('g')]);
        const version = Math.max(...newest.map(found => found?.version ?? 0));
        const loser = outcomes[0]?.status === 'rejected' ? store : other;
        await loser.saveGroup({ ...((await loser.group('g')) ?? read), description: 'again' });
        await expect.poll(async () => ((await store.group('g'))?.version ?? 0) > version).toBe(true);
      }
    });

    it('loses no change when many write different groups through both', async () => {
      const ids = Array.from({ length: 20 }, (_, n) => `g${n}`);
      await Promise.all(ids.map((id, n) => (n % 2 ? store : other).createGroup(group(id))));
      await reopened();
      expect((await store.groups()).map(({ id }) => id)).toEqual(ids.sort());
      const versions = (await store.groups()).map(({ version }) => version);
      expect(new Set(versions).size).toBe(20);
    });

    it('has no server in two groups, whoever writes them', async () => {
      const outcomes = await Promise.allSettled([
        store.createGroup(group('g', [server(1)])),
        other.createGroup(group('h', [server(2, { port: 3301 })])),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });
  });
}
