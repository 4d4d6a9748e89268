/** What the application knows about its own writes: the record that the servers are compared with at the end. */

/** One row that a writer sent: `writer/n`, never used twice. */
export interface Write {
  readonly id: string;
  readonly sentAt: number;
  /** When its promise was settled. */
  readonly at: number;
}

/** An error that the application saw. */
export interface Failure {
  readonly at: number;
  readonly of: 'write' | 'read';
  /** How far the statement got, as the client says. */
  readonly outcome: string;
  readonly text: string;
}

/** A time without acknowledged writes. */
export interface Gap {
  readonly begin: number;
  readonly end: number;
}

/** In ms. */
export function lengthOf({ begin, end }: Gap): number {
  return end - begin;
}

/** All times are `performance.now()`. */
export class Journal {
  /** In the order of their acknowledgements. */
  readonly acknowledged: Write[] = [];
  /** Sent, and the connection was lost before the answer: they may be there or not. */
  readonly inDoubt: Write[] = [];
  /** Every error, those of the writes in doubt included. */
  readonly failures: Failure[] = [];

  /** Errors that leave nothing in doubt: the statement failed, and the application had to be told. */
  get errors(): Failure[] {
    return this.failures.filter(({ of, outcome }) => of === 'read' || outcome !== 'in-doubt');
  }

  failureSince(moment: number): Failure | undefined {
    return this.failures.find(({ at }) => at >= moment);
  }

  /** The first acknowledgement of a write that was sent after `moment`. */
  acknowledgedSince(moment: number): Write | undefined {
    return this.acknowledged.find(({ sentAt, at }) => at >= moment && sentAt >= moment);
  }

  /** The longest gap between two acknowledgements, of whichever writers, that overlaps this span. */
  longestPause(from: number, to: number): Gap {
    const times = this.acknowledged.map(({ at }) => at);
    const pauses = times.slice(1).map((time, i) => ({ begin: times[i] ?? time, end: time }));
    const last = times.at(-1) ?? from;
    // a pause that has not ended yet
    if (last < to) pauses.push({ begin: last, end: to });
    return pauses
      .filter(({ begin, end }) => end > from && begin < to)
      .reduce((longest, gap) => (lengthOf(gap) > lengthOf(longest) ? gap : longest), { begin: from, end: from });
  }
}
