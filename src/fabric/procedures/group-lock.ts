/** One lock per group, first come first served. Different groups don't wait for each other. */

export interface GroupLock {
  /** Runs `work` when all that came before for this group has ended. */
  hold<T>(group: string, work: () => Promise<T>): Promise<T>;
  held(group: string): boolean;
}

export function createGroupLock(): GroupLock {
  const tails = new Map<string, Promise<void>>();

  return {
    hold(group, work) {
      const before = tails.get(group) ?? Promise.resolve();
      const result = before.then(work);
      const tail = result.then(
        () => {},
        () => {},
      );
      tails.set(group, tail);
      void tail.then(() => {
        if (tails.get(group) === tail) tails.delete(group);
      });
      return result;
    },
    held: group => tails.has(group),
  };
}
