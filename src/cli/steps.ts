import { setTimeout as sleep } from 'node:timers/promises';
import type { DecodedReply } from '../wire/reply.js';
import { rowsOf } from '../wire/reply.js';
import { printable } from './output.js';

/** Shows what a long command is at, while its answer is waited for. The answer is what counts: where this cannot look, it shows nothing. */

/** ms before the first look: most commands are done by then. */
const LONG = 500;
/** ms between two looks. */
const PERIOD = 250;

interface Watched {
  /** `group.promote by admin`: whose procedure it is. */
  readonly askedBy: string;
  /** Asks the node for `event.under_way`. */
  look(): Promise<DecodedReply>;
  show(line: string): void;
}

/** @returns what ends it. */
export function showSteps(watched: Watched): () => void {
  const over = new AbortController();
  follow(watched, over.signal).catch(() => {});
  return () => over.abort();
}

async function follow(watched: Watched, over: AbortSignal): Promise<void> {
  let own: string | undefined;
  let shown: readonly string[] = [];
  for (let pause = LONG; ; pause = PERIOD) {
    await sleep(pause, undefined, { signal: over });
    const now = await underWay(watched);
    if (over.aborted) return;
    // The same user may have called the same command before; this call was the last.
    own ??= [...now.keys()].at(-1);
    const lines = now.get(own ?? '') ?? [];
    for (const line of lines.filter(each => !shown.includes(each))) watched.show(`${printable(line)} ...\n`);
    shown = [...shown, ...lines];
  }
}

const WAITING = 'wait for the other procedures of the group';
/** State of a step that has begun, in a procedure's history. */
const PROCESSING = 4;

/** By the uuid of those that this user has begun by this command: what they have been at. */
async function underWay({ askedBy, look }: Watched): Promise<Map<string, readonly string[]>> {
  const { error, resultSets } = await look();
  const [procedures, history] = resultSets;
  if (error !== '' || !procedures || !history) throw new Error(error);
  const events = rowsOf(history);
  const own = rowsOf(procedures).filter(procedure => procedure.asked_by === askedBy);
  return new Map(own.map(({ uuid }) => [String(uuid), stepsIn(events.filter(event => event.uuid === uuid))]));
}

function stepsIn(events: ReturnType<typeof rowsOf>): readonly string[] {
  if (events.length === 0) return [WAITING];
  const begun = events.filter(({ state }) => state === PROCESSING).map(({ description }) => String(description));
  return begun.map(description => /^Executing action \((.*)\)\.$/s.exec(description)?.[1] ?? description);
}
