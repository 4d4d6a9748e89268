import { addressKey, createGroupTable } from './group-table.js';
import { createMemoryDecisions } from './memory-decisions.js';
import { createMemoryReports } from './memory-reports.js';
import { type GroupRecord, type RunRecord, type Store, StoreConflict, type UserRecord } from './store.js';
import { orderedUsers } from './user-rows.js';

/** The state store of a node that forgets everything when it stops. */

/** Of each procedure. */
const FINISHED_RUNS_KEPT = 1_000;

export function createMemoryStore(): Store {
  const groups = createGroupTable();
  const runs = createRunTable();
  const reports = createMemoryReports();
  const decisions = createMemoryDecisions();
  let users: readonly UserRecord[] = [];

  const replace = (previous: GroupRecord | undefined, next: GroupRecord | undefined) => {
    groups.replace(previous, next);
    const kept = new Set(next?.servers.map(server => server.uuid));
    for (const { uuid } of previous?.servers ?? []) if (!kept.has(uuid)) reports.forget(uuid);
    if (previous && !next) decisions.forgetCounts(previous.id);
  };

  return {
    get revision() {
      return groups.revision;
    },
    async open() {},
    async close() {},
    async claim() {},
    async groups() {
      return groups.all();
    },
    async group(id) {
      return groups.get(id);
    },
    async groupOfServer(server) {
      return groups.ofServer(typeof server === 'string' ? server : addressKey(server));
    },
    async createGroup(group) {
      if (groups.get(group.id)) throw new StoreConflict(`group ${group.id} exists already`);
      const created = groups.next(group);
      replace(undefined, created);
      return created;
    },
    async saveGroup(group) {
      const previous = groups.current(group.id, group.version);
      const saved = groups.next(group);
      replace(previous, saved);
      return saved;
    },
    async deleteGroup(id, version) {
      replace(groups.current(id, version), undefined);
    },
    async addReport(report, since) {
      if (groups.ofServer(report.server)) reports.add(report);
      return reports.count(report.server, since);
    },
    async countReports(server, since) {
      return reports.count(server, since);
    },
    async forgetReports(server) {
      reports.forget(server);
    },
    async saveRun(run) {
      runs.save(run);
    },
    async noteRun(run) {
      runs.save(run);
    },
    async run(uuid) {
      return runs.get(uuid);
    },
    async unfinishedRuns() {
      return runs.unfinished();
    },
    ...decisions.store,
    get users() {
      return users;
    },
    async changeUsers(change) {
      users = orderedUsers(change(users));
      groups.replace(undefined, undefined);
    },
  };
}

function createRunTable() {
  const running = new Map<string, RunRecord>();
  const finished = new Map<string, RunRecord>();
  const finishedOf = new Map<string, string[]>();
  return {
    get: (uuid: string) => running.get(uuid) ?? finished.get(uuid),
    unfinished: () => [...running.values()],
    save(run: RunRecord) {
      const value = Object.freeze({ ...run, events: Object.freeze([...run.events]) });
      if (!run.finished) {
        running.set(run.uuid, value);
        return;
      }
      running.delete(run.uuid);
      finished.set(run.uuid, value);
      const same = finishedOf.get(run.procedure) ?? [];
      finishedOf.set(run.procedure, same);
      if (same.push(run.uuid) > FINISHED_RUNS_KEPT) finished.delete(same.shift() ?? '');
    },
  };
}
