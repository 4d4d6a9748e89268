/**
 * Sets of global transaction identifiers as values: parse, format, algebra. Pure; knows MySQL's text form including the tags of 8.3 and newer.
 *
 * Transaction numbers are plain numbers. MySQL allows them up to 2^63-1, a server that commits a million transactions each second reaches
 * 2^53 after 285 years: larger ones are refused as a sign of nonsense instead of being rounded.
 */

/** First and last transaction number of a gapless run, both included. */
export type GtidInterval = readonly [first: number, last: number];

/**
 * By `uuid` or `uuid:tag` (lower case) the runs of that source: ascending, apart from each other, never an empty list. Every function here
 * returns such a set and changes none.
 */
export type GtidSet = ReadonlyMap<string, readonly GtidInterval[]>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d+)(?:\s*-\s*(\d+))?$/;

/** The set that holds nothing. */
export const EMPTY_GTID_SET: GtidSet = new Map();

/**
 * Reads what `@@global.gtid_executed` and the like give: `uuid:1-3:5:tag:1-2,\nuuid:7`. Empty text is the empty set; runs may overlap and
 * come in any order, a source may come more than once.
 * @throws SyntaxError naming the part that is no GTID set.
 * @throws RangeError for a transaction number beyond 2^53-1.
 */
export function parseGtidSet(text: string): GtidSet {
  const runs = new Map<string, GtidInterval[]>();
  for (const part of text.split(',')) {
    if (part.trim() !== '') parseSource(part.trim().toLowerCase(), runs);
  }
  return tidy(runs);
}

/** The form MySQL itself prints, without white space: sources and tags in order, a tag after the untagged runs of its source. */
export function formatGtidSet(set: GtidSet): string {
  const bySource = new Map<string, string>();
  for (const key of [...set.keys()].sort()) {
    const [uuid = '', tag] = key.split(':');
    const runs = [...(tag ? [tag] : []), ...(set.get(key) ?? []).map(formatInterval)].join(':');
    bySource.set(uuid, `${bySource.get(uuid) ?? uuid}:${runs}`);
  }
  return [...bySource.values()].join(',');
}

/** Everything that is in `a` or in `b`. */
export function union(a: GtidSet, b: GtidSet): GtidSet {
  const runs = new Map<string, readonly GtidInterval[]>(a);
  for (const [key, intervals] of b) runs.set(key, [...(runs.get(key) ?? []), ...intervals]);
  return tidy(runs);
}

/** Everything that is in `a` and not in `b`. */
export function subtract(a: GtidSet, b: GtidSet): GtidSet {
  const left = new Map<string, readonly GtidInterval[]>();
  for (const [key, intervals] of a) {
    const rest = subtractIntervals(intervals, b.get(key) ?? []);
    if (rest.length > 0) left.set(key, rest);
  }
  return left;
}

/** Whether all of `b` is in `a`. */
export function contains(a: GtidSet, b: GtidSet): boolean {
  return isEmpty(subtract(b, a));
}

/** Whether it holds no transaction. */
export function isEmpty(set: GtidSet): boolean {
  return set.size === 0;
}

/** How many transactions it holds; exact up to 2^53-1. */
export function count(set: GtidSet): number {
  let total = 0;
  for (const intervals of set.values()) {
    for (const [first, last] of intervals) total += last - first + 1;
  }
  return total;
}

/** The set without any transaction, tagged or not, that the server `uuid` was the first to commit. */
export function withoutSource(set: GtidSet, uuid: string): GtidSet {
  const source = uuid.toLowerCase();
  return new Map([...set].filter(([key]) => key.split(':')[0] !== source));
}

/** The transactions, tagged or not, that the server `uuid` was the first to commit. */
export function ofSource(set: GtidSet, uuid: string): GtidSet {
  const source = uuid.toLowerCase();
  return new Map([...set].filter(([key]) => key.split(':')[0] === source));
}

/** `uuid:1-3:tag:5`; a tag holds for the numbers behind it until the next tag. */
function parseSource(part: string, runs: Map<string, GtidInterval[]>): void {
  const [uuid = '', ...rest] = part.split(':').map(piece => piece.trim());
  if (!UUID.test(uuid)) throw new SyntaxError(`Not a GTID set: '${part}' does not begin with a server's UUID.`);
  let key = uuid;
  let complete = false;
  for (const piece of rest) {
    const isTag = TAG.test(piece);
    if (isTag && key !== uuid && !complete) break;
    if (isTag) key = `${uuid}:${piece}`;
    else append(runs, key, parseInterval(piece, part));
    complete = !isTag;
  }
  if (!complete) throw new SyntaxError(`Not a GTID set: '${part}' lacks a transaction number.`);
}

function append(runs: Map<string, GtidInterval[]>, key: string, interval: GtidInterval): void {
  const known = runs.get(key);
  if (known) known.push(interval);
  else runs.set(key, [interval]);
}

function parseInterval(piece: string, part: string): GtidInterval {
  const match = INTERVAL.exec(piece);
  if (!match)
    throw new SyntaxError(`Not a GTID set: '${piece}' in '${part}' is neither a number, nor a range, nor a tag.`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first < 1 || last < first)
    throw new SyntaxError(`Not a GTID set: '${piece}' in '${part}' is an impossible range.`);
  if (!Number.isSafeInteger(last))
    throw new RangeError(`Transaction number ${match[2] ?? match[1]} in '${part}' is beyond 2^53-1.`);
  return [first, last];
}

function formatInterval([first, last]: GtidInterval): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function tidy(runs: ReadonlyMap<string, readonly GtidInterval[]>): GtidSet {
  return new Map([...runs].map(([key, intervals]) => [key, mergeIntervals(intervals)]));
}

/** Ascending, with runs that touch or overlap made one. */
function mergeIntervals(intervals: readonly GtidInterval[]): readonly GtidInterval[] {
  const merged: [number, number][] = [];
  for (const [first, last] of [...intervals].sort((a, b) => a[0] - b[0])) {
    const previous = merged.at(-1);
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** Walks both ascending lists once, because a long-lived server may have thousands of runs. */
function subtractIntervals(from: readonly GtidInterval[], holes: readonly GtidInterval[]): readonly GtidInterval[] {
  const rest: GtidInterval[] = [];
  let next = 0;
  for (const [first, last] of from) {
    let start = first;
    while ((holes[next]?.[1] ?? Number.POSITIVE_INFINITY) < first) next += 1;
    for (let at = next; start <= last; at += 1) {
      const [holeFirst, holeLast] = holes[at] ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      if (holeFirst > start) rest.push([start, Math.min(last, holeFirst - 1)]);
      start = holeLast + 1;
    }
  }
  return rest;
}
