/** The live view: the group and the application, drawn again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Application } from './application.js';
import type { Cluster } from './cluster.js';
import { type Observation, observe } from './observer.js';
import type { Screen, Style } from './screen.js';
import type { Story } from './story.js';

/** Rates and shares are those of this many ms. */
const WINDOW = 2_000;
const OBSERVE_EVERY = 1_000;

/** The application's counters at a moment. */
interface Sample {
  readonly at: number;
  readonly writes: number;
  readonly reads: ReadonlyMap<number, number>;
}

interface Rates {
  readonly writes: number;
  readonly reads: number;
  /** Percent of the reads, by port. */
  readonly shares: ReadonlyMap<number, number>;
}

/** Draws until the signal is given. Never rejects: what cannot be seen just now is seen the next time. */
export async function keepView(
  { cluster, application, story }: { cluster: Cluster; application: Application; story: Story },
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  const samples: Sample[] = [];
  let group: readonly Observation[] = [];
  let observedAt = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const now = performance.now();
    if (now - observedAt >= OBSERVE_EVERY) {
      observedAt = now;
      group = await observe(cluster).catch(() => group);
    }
    if (signal.aborted) return;
    samples.push(sample(application));
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > WINDOW) samples.shift();
    const rates = ratesOf(samples);
    screen.show(frame(group, rates, application, story, screen), statusLine(group, rates, application, story));
    await sleep(screen.interval, undefined, { signal }).catch(() => {});
  }
}

function sample({ journal, reads }: Application): Sample {
  return { at: performance.now(), writes: journal.acknowledged.length, reads: reads.snapshot() };
}

function ratesOf(samples: readonly Sample[]): Rates {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return { writes: 0, reads: 0, shares: new Map() };
  const seconds = (last.at - first.at) / 1_000;
  const counts = [...last.reads].map(([port, count]) => [port, count - (first.reads.get(port) ?? 0)] as const);
  const reads = counts.reduce((total, [, count]) => total + count, 0);
  return {
    writes: (last.writes - first.writes) / seconds,
    reads: reads / seconds,
    shares: new Map(counts.map(([port, count]) => [port, reads === 0 ? 0 : (100 * count) / reads])),
  };
}

const COLUMNS = [8, 17, 11, 12, 8, 24, 9, 14] as const;
const TITLES = ['server', 'address', 'status', 'mode', 'weight', 'replication', 'behind', 'of the reads'];
const STATUS_STYLES: Readonly<Record<string, Style>> = {
  PRIMARY: 'green',
  SECONDARY: 'cyan',
  SPARE: 'yellow',
  FAULTY: 'red',
};

function frame(
  group: readonly Observation[],
  rates: Rates,
  application: Application,
  story: Story,
  { paint }: Screen,
): string[] {
  const rows = group.map(member =>
    paint(
      STATUS_STYLES[member.status] ?? 'dim',
      columns([
        member.name,
        member.server.address,
        member.status,
        member.mode,
        member.weight.toFixed(2),
        member.replication,
        member.behind === undefined ? '-' : `${member.behind} s`,
        percent(rates.shares.get(member.server.port)),
      ]),
    ),
  );
  return ['', paint('bold', columns(TITLES)), ...rows, '', `${seconds(story)}  ${activity(rates, application)}`];
}

function statusLine(group: readonly Observation[], rates: Rates, application: Application, story: Story): string {
  const servers = group.map(
    ({ name, status, server }) => `${name} ${status}, reads ${percent(rates.shares.get(server.port))}`,
  );
  return `${seconds(story)}  ${servers.join(' | ')} | ${activity(rates, application)}`;
}

function activity(rates: Rates, { journal }: Application): string {
  const speed = `${Math.round(rates.writes)} writes/s, ${Math.round(rates.reads)} reads/s`;
  return `${speed}, errors ${journal.errors.length}, in doubt ${journal.inDoubt.length}`;
}

function seconds({ elapsed }: Story): string {
  return `${(elapsed / 1_000).toFixed(1).padStart(5)} s`;
}

function percent(share = 0): string {
  return share === 0 ? '-' : `${share.toFixed(1)} %`;
}

function columns(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padEnd(COLUMNS[index] ?? 0)).join('  ');
}
