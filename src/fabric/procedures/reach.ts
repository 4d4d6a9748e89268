import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import type { Store } from '../store/store.js';
import { createSessions, type Sessions } from './sessions.js';
import { within } from './waits.js';

/** What steps act with: sessions on the servers, and the state store. When they are over they get at neither any more. */
export interface Reach<C extends Context> {
  readonly context: C & { readonly sessions: Sessions };
  end(): void;
}

/** @param bound ms for each call of the store. */
export function createReach<C extends Context>(context: C, bound?: number): Reach<C> {
  const sessions = createSessions(context.replication);
  let over = false;
  const reached =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (over) throw new CommandError('ProcedureError', 'The procedure has ended.');
      return await (bound === undefined ? work(...args) : within(bound, 'the state store', work(...args)));
    };
  return {
    context: { ...context, store: storeOf(context.store, reached), sessions },
    end() {
      over = true;
      sessions.close();
    },
  };
}

type Wrap = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => (...args: A) => Promise<R>;

/** Decisions are written down as ever: they tell what has happened. */
function storeOf(store: Store, wrap: Wrap): Store {
  const wrapped = {
    group: wrap(store.group),
    groups: wrap(store.groups),
    groupOfServer: wrap(store.groupOfServer),
    createGroup: wrap(store.createGroup),
    saveGroup: wrap(store.saveGroup),
    deleteGroup: wrap(store.deleteGroup),
    countReports: wrap(store.countReports),
    forgetReports: wrap(store.forgetReports),
  };
  return Object.assign(Object.create(store) as Store, wrapped);
}
