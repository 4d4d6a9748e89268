import {
  contains,
  count,
  formatGtidSet,
  ofSource,
  parseGtidSet,
  subtract,
  withoutSource,
} from '../replication/gtid.js';

/** Which server should become the primary: pure choices over GTID sets. */

/** A server that could be promoted, with what it has applied. */
export interface Applicant {
  readonly uuid: string;
  readonly weight: number;
  /** `gtid_executed`. */
  readonly executed: string;
}

/** A server that can hand on what it has applied. */
export interface Donor extends Applicant {
  /** Its receiver acknowledges to the primary what it gets: nobody may lack that. */
  readonly acknowledges: boolean;
}

/** Most advanced first; among equals the heavier one, then by uuid, so that the same facts always give the same choice. */
export function byPreference(applicants: readonly Applicant[]): Applicant[] {
  const advance = new Map(applicants.map(({ uuid, executed }) => [uuid, count(parseGtidSet(executed))]));
  return [...applicants].sort(
    (a, b) =>
      (advance.get(b.uuid) ?? 0) - (advance.get(a.uuid) ?? 0) ||
      b.weight - a.weight ||
      (a.uuid < b.uuid ? -1 : a.uuid > b.uuid ? 1 : 0),
  );
}

/** The transactions of `executed` that `reference` lacks, as text; empty: none. */
export function beyond(executed: string, reference: string): string {
  return formatGtidSet(subtract(parseGtidSet(executed), parseGtidSet(reference)));
}

/** The part of `executed` that is in `reference` too. */
export function within(executed: string, reference: string): string {
  return beyond(reference, beyond(reference, executed));
}

/**
 * The transactions a replica of the lost primary cannot have from it: neither written by that primary nor there when it was promoted.
 * Unknown baseline: none can be named, and the comparison between the servers has to do.
 */
export function errantSince(executed: string, primary: string, baseline: string | null): string {
  if (baseline === null) return '';
  return formatGtidSet(subtract(withoutSource(parseGtidSet(executed), primary), parseGtidSet(baseline)));
}

/** What `held` has of the lost primary's transactions, and of those before it, that `executed` lacks. Unknown baseline: its own alone. */
export function owed(held: string, executed: string, primary: string | null, baseline: string | null): string {
  const more = beyond(held, executed);
  if (primary === null) return more;
  return baseline === null ? ownLost(primary, executed, held) : beyond(more, errantSince(more, primary, baseline));
}

/** The transactions of `reference` that this server was the first to commit and has no more, as text; empty: none. */
export function ownLost(uuid: string, executed: string, reference: string): string {
  return formatGtidSet(ofSource(subtract(parseGtidSet(reference), parseGtidSet(executed)), uuid));
}

/**
 * The transactions that a primary is known to have had and has no more, as text; empty: none. Known are those that were there when it became
 * the primary (`baseline`; null: unknown), and its own ones that others have (`sent`).
 */
export function lostByPrimary(
  uuid: string,
  executed: string,
  baseline: string | null,
  sent: readonly string[],
): string {
  return beyond([baseline ?? '', ownLost(uuid, '', sent.join())].join(), executed);
}

/** What each of the others holds that `chosen` lacks; servers that lack nothing of it are left out. */
export function lackedBy(chosen: Applicant, others: readonly Applicant[]): { uuid: string; gtids: string }[] {
  return others
    .filter(({ uuid }) => uuid !== chosen.uuid)
    .map(({ uuid, executed }) => ({ uuid, gtids: beyond(executed, chosen.executed) }))
    .filter(({ gtids }) => gtids !== '');
}

/** Whether `executed` has all of `gtids`. */
export function holds(executed: string, gtids: string): boolean {
  return contains(parseGtidSet(executed), parseGtidSet(gtids));
}
