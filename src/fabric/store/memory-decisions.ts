import { COUNTED, type Count, DECISIONS_KEPT, DECISIONS_KEPT_PER_GROUP, type Decision, type Store } from './store.js';

/** The decisions and the counts of a node that forgets everything when it stops. */
export function createMemoryDecisions() {
  const counts = new Map<string, Count>();
  const numbers = new Map<string, number>();
  let all: Decision[] = [];

  const keyOf = ({ kind, subject, event }: Omit<Count, 'total'>) => `${kind} ${subject} ${event}`;
  const add = (count: Count) => {
    const total = (counts.get(keyOf(count))?.total ?? 0) + count.total;
    counts.set(keyOf(count), Object.freeze({ ...count, total }));
  };
  /** A tenth is dropped at once, so that the list is not copied each time. */
  const prune = (group: string) => {
    const number = (numbers.get(group) ?? 0) + 1;
    const excess = number > DECISIONS_KEPT_PER_GROUP ? DECISIONS_KEPT_PER_GROUP / 10 : 0;
    numbers.set(group, number - excess);
    let left = excess;
    if (excess > 0) all = all.filter(decision => decision.group !== group || left-- <= 0);
    if (all.length > DECISIONS_KEPT) all = all.slice(DECISIONS_KEPT / 10);
  };

  const store: Pick<Store, 'addDecision' | 'decisions' | 'addCounts' | 'counts'> = {
    async addDecision(decision) {
      all.push(Object.freeze({ ...decision }));
      const { group, event } = decision;
      if (COUNTED.has(event)) add({ kind: 'group', subject: group, event, total: 1 });
      prune(group);
    },
    async decisions(group, limit) {
      const found = group === null ? all : all.filter(decision => decision.group === group);
      return limit > 0 ? found.slice(-limit) : [];
    },
    async addCounts(given) {
      for (const count of given) add(count);
    },
    async counts(kind) {
      const found = [...counts.values()].filter(count => count.kind === kind);
      return found.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    },
  };
  return {
    store,
    forgetCounts(group: string) {
      for (const [key, { kind, subject }] of counts) if (kind === 'group' && subject === group) counts.delete(key);
    },
  };
}
