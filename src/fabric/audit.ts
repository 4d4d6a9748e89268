import type { Context } from './context.js';
import type { Decision } from './store/store.js';

/** A decision as who makes it tells it. `by` is the node itself when nobody is named; `level` is that of the log, `info` if not given. */
export interface Told extends Pick<Decision, 'group' | 'event' | 'sentence'> {
  readonly server?: string | null;
  readonly by?: string;
  readonly level?: 'info' | 'warn' | 'error';
}

type Parts = Pick<Context, 'store' | 'log' | 'now'> & {
  /** Who asked for the procedure whose step decides. */
  readonly by?: string;
};

/**
 * The one place where a decision of the node is written down: the same sentence in the log, and as a row in the store. Nobody waits for the
 * row; the store writes it before all that is written later, and a store that cannot is no reason not to act.
 */
export function decided(context: Parts, told: Told): void {
  const { group, event, sentence, server = null, by = context.by ?? 'the node', level = 'info' } = told;
  context.log[level](sentence);
  context.store
    .addDecision({ at: context.now(), group: group.slice(0, GROUP_LENGTH), server, event, by, sentence })
    .catch(cause => context.log.error(`a decision of group ${group} could not be recorded: ${String(cause)}`));
}

/** What the store has room for. */
const GROUP_LENGTH = 64;
