import { setTimeout as sleep } from 'node:timers/promises';
import { STATUS_FAULTY } from '../wire/topology.js';
import { decided } from './audit.js';
import { type Caretaker, createCaretaker } from './caretaker.js';
import type { Context } from './context.js';
import { createFailoverWait } from './failover-wait.js';
import { createProber, type Prober } from './prober.js';
import { declareFaulty, intervalLeft } from './procedures/declare-faulty.js';
import type { Runner } from './procedures/runner.js';
import type { GroupRecord, ServerRecord } from './store/store.js';
import { judge, type Testimony, type Verdict } from './suspicion.js';

/** The failure detector of one group: looks at its servers in rounds, and at once when there is a hint. */
export interface GroupWatch {
  hint(server: string): void;
  outlook(): Outlook;
  stop(): Promise<void>;
}

/** What a watch thinks now, for those who ask why. */
export interface Outlook {
  /** Why a server (uuid) is not believed healthy. */
  readonly doubts: ReadonlyMap<string, string>;
  /** Why a failover does not happen now although the primary is lost; `until` in epoch ms. */
  readonly wait: { readonly until: number; readonly reason: string; readonly attempts: number } | null;
}

/** What is remembered of a server between two looks. */
interface Watched {
  readonly prober: Prober;
  readonly caretaker: Caretaker;
  readonly address: string;
  /** Failed rounds in a row. */
  failures: number;
  countedAt: number;
  looking: Promise<void> | undefined;
}

/** ms between looks at a primary that does not answer: a killed one's replicas notice within milliseconds, a frozen one's after seconds. */
const QUICK_LOOKS = [20, 50, 100, 200] as const;

const STOP_BOUND = 500;

/** As the log says it. */
const STATES = { healthy: 'is healthy', watch: 'is watched', dead: 'is dead' } as const;

export function createGroupWatch(id: string, context: Context, runner: Runner): GroupWatch {
  const { detectionInterval, detections } = context.options.failureTracking;
  const period = (detectionInterval * 1000) / detections;
  const ending = new AbortController();
  const watched = new Map<string, Watched>();
  const doubts = new Map<string, string>();
  const wait = createFailoverWait();

  const pause = (ms: number) => sleep(ms, undefined, { signal: ending.signal, ref: false }).catch(() => {});

  async function loop(): Promise<void> {
    for (let due = 0; !ending.signal.aborted; ) {
      if (performance.now() >= due) {
        due = performance.now() + period;
        await round().catch(error => context.log.error(`watching group ${id} failed: ${String(error)}`));
      }
      await retryFailover().catch(error =>
        context.log.error(`retrying the failover of ${id} failed: ${String(error)}`),
      );
      const rest = due - performance.now();
      await pause(Math.max(50, wait.left > 0 ? Math.min(rest, wait.left) : rest));
    }
  }

  async function round(): Promise<void> {
    const group = await context.store.group(id);
    forgetGone(group);
    // Not awaited: a frozen server must not delay the next look at the others.
    for (const server of group?.servers ?? []) if (server.status !== STATUS_FAULTY) void look(server.uuid);
  }

  function forgetGone(group: GroupRecord | undefined): void {
    for (const [uuid, { prober, address }] of watched) {
      const server = group?.servers.find(other => other.uuid === uuid);
      if (server && server.status !== STATUS_FAULTY && addressOf(server) === address) continue;
      prober.close();
      watched.delete(uuid);
      doubts.delete(uuid);
    }
  }

  function watchedOf(server: ServerRecord): Watched {
    const known = watched.get(server.uuid);
    if (known) return known;
    const prober = createProber(server, context, () => void look(server.uuid));
    const fresh: Watched = {
      prober,
      caretaker: createCaretaker(server.uuid, prober, context, runner),
      address: addressOf(server),
      failures: 0,
      countedAt: 0,
      looking: undefined,
    };
    watched.set(server.uuid, fresh);
    return fresh;
  }

  /** One look at a time for each server; it goes on until the server is healthy, dead, or can wait for the next round. Never rejects. */
  async function look(uuid: string): Promise<void> {
    const group = await context.store.group(id).catch(() => undefined);
    const server = group?.servers.find(other => other.uuid === uuid);
    if (!server || server.status === STATUS_FAULTY || ending.signal.aborted) return;
    const entry = watchedOf(server);
    entry.looking ??= lookUntilSure(uuid, entry)
      .catch(error => context.log.error(`looking at server ${uuid} of group ${id} failed: ${String(error)}`))
      .finally(() => {
        entry.looking = undefined;
      });
    await entry.looking;
  }

  async function lookUntilSure(uuid: string, entry: Watched): Promise<void> {
    let said = '';
    for (let looks = 0; !ending.signal.aborted; looks += 1) {
      const answered = await entry.prober.probe();
      const group = await context.store.group(id);
      const server = group?.servers.find(other => other.uuid === uuid);
      if (!group || !server || server.status === STATUS_FAULTY || ending.signal.aborted) return;
      const verdict = await judgeNow(server, group, entry, answered);
      if (verdict.state === 'healthy') {
        doubts.delete(uuid);
        if (group.primary === uuid) wait.clear();
        // Not awaited: what the server needs may take its time.
        void entry.caretaker.tend(group, doubts);
        return;
      }
      if (said !== verdict.reason) suspect(server, verdict);
      said = verdict.reason;
      // A procedure closes connections and changes roles: what was seen meanwhile is judged when it is over.
      if (verdict.state === 'dead' && !runner.busy(id)) {
        // A promotion may have come and gone while the witnesses were asked.
        const { primary, primarySince } = (await context.store.group(id)) ?? group;
        if (primary !== group.primary || primarySince !== group.primarySince) continue;
        if (group.primary !== uuid || wait.due(uuid)) await condemn(server, group, verdict);
        return;
      }
      if (group.primary !== uuid && !runner.busy(id)) return;
      await pause(QUICK_LOOKS[Math.min(looks, QUICK_LOOKS.length - 1)] ?? 200);
    }
  }

  function suspect(server: ServerRecord, { state, reason }: Verdict): void {
    doubts.set(server.uuid, `it ${STATES[state]}: ${reason}`);
    const sentence = `${named(server)} ${STATES[state]}: ${reason}`;
    decided(context, { group: id, server: server.uuid, event: 'suspected', by, sentence });
  }

  async function judgeNow(
    server: ServerRecord,
    group: GroupRecord,
    entry: Watched,
    answered: boolean,
  ): Promise<Verdict> {
    const isPrimary = group.primary === server.uuid;
    count(entry, answered);
    const witnesses = answered || !isPrimary ? [] : await askWitnesses(server, group);
    return judge({ answered, isPrimary, witnesses, failures: entry.failures, detections });
  }

  /** Quick looks are one round: `detections` keeps its meaning. */
  function count(entry: Watched, answered: boolean): void {
    const now = performance.now();
    if (answered) {
      entry.failures = 0;
      entry.countedAt = 0;
    } else if (entry.countedAt === 0 || now - entry.countedAt >= period * 0.9) {
      entry.failures += 1;
      entry.countedAt = now;
    }
  }

  function askWitnesses(primary: ServerRecord, group: GroupRecord): Promise<Testimony[]> {
    const others = group.servers.filter(({ uuid, status }) => uuid !== primary.uuid && status !== STATUS_FAULTY);
    return Promise.all(others.map(server => watchedOf(server).prober.testify(primary)));
  }

  async function condemn(server: ServerRecord, group: GroupRecord, { reason }: Verdict): Promise<void> {
    const isPrimary = group.primary === server.uuid;
    if (isPrimary && tooSoon(server, group)) return;
    const { error } = await runner.run(
      declareFaulty({
        group: id,
        server: server.uuid,
        reporter: by,
        error: reason,
        updateOnly: false,
        respectFailoverInterval: true,
        believedDead: true,
      }),
      by,
    ).done;
    if (isPrimary) await backOff(group, error);
  }

  /** `failover_interval` forbids it yet: said once, and looked at again as soon as it allows. */
  function tooSoon(primary: ServerRecord, group: GroupRecord): boolean {
    const left = intervalLeft(primary, group, context);
    if (left === 0) return false;
    const { failoverInterval } = context.options.failureTracking;
    const reason = `the failover interval is ${failoverInterval} s, and the primary took over less than that ago`;
    const sentence = `the failover of group ${id} waits ${Math.ceil(left / 1000)} s: ${reason}`;
    if (wait.until(primary.uuid, left, reason))
      decided(context, { group: id, server: primary.uuid, event: 'waiting', level: 'warn', by, sentence });
    return true;
  }

  /** A failover that failed is tried again, less and less often. */
  async function backOff(before: GroupRecord, error: string | null): Promise<void> {
    const group = await context.store.group(id);
    const primary = group?.servers.find(({ uuid }) => uuid === group.primary);
    const stuck = primary?.status === STATUS_FAULTY || group?.primarySince === before.primarySince;
    if (!primary || !stuck) {
      wait.clear();
      return;
    }
    const reason = error ?? 'nobody has taken over';
    const delay = wait.failed(primary.uuid, reason);
    const sentence = `the failover of group ${id} is tried again in ${delay / 1000} s, after ${wait.attempts} failed attempts: ${reason}`;
    decided(context, { group: id, server: primary.uuid, event: 'waiting', level: 'warn', by, sentence });
  }

  async function retryFailover(): Promise<void> {
    if (wait.left > 0 || runner.busy(id)) return;
    const group = await context.store.group(id);
    const primary = group?.servers.find(({ uuid }) => uuid === group.primary);
    if (!group || !primary) return;
    if (primary.status === STATUS_FAULTY && primary.byHand) return;
    if (primary.status === STATUS_FAULTY) {
      context.log.info(`${named(primary)} is FAULTY and has no successor: the failover is tried again`);
      await condemn(primary, group, { state: 'dead', reason: 'no failover has succeeded yet' });
    } else if (wait.reason !== '') void look(primary.uuid);
  }

  const by = `FailureDetector(${id})`;
  const named = ({ uuid }: ServerRecord) => `server ${uuid} of group ${id}`;
  const work = loop();

  return {
    hint: server => void look(server),
    outlook() {
      const { left, reason, attempts } = wait;
      return { doubts, wait: left > 0 ? { until: context.now() + left, reason, attempts } : null };
    },
    async stop() {
      ending.abort();
      for (const { prober } of watched.values()) prober.close();
      // The loop may be waiting for a failover: that is the runner's to end.
      const late = new AbortController();
      await Promise.race([work, sleep(STOP_BOUND, undefined, { signal: late.signal }).catch(() => {})]);
      late.abort();
    },
  };
}

function addressOf({ host, port }: ServerRecord): string {
  return `${host}:${port}`;
}
