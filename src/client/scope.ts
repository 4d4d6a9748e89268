import { AsyncLocalStorage } from 'node:async_hooks';
import { DEFAULT_TARGET, type Properties, parseProperties, type Target } from './properties.js';

/** A storage that was never used is not asked: each statement would pay for it. */
let used = false;
const storage = new AsyncLocalStorage<Partial<Target>>();

/**
 * Calls `fn`. All statements that it gives, at once or later, go where `properties` say, on whatever connection or pool, unless they say it
 * themselves (`{ sql, mode }`) or are part of a transaction. Connections that it takes from a pool have these properties. A scope in another
 * one changes what it names.
 * @returns what `fn` returns.
 * @throws TypeError, RangeError with `code` FABRIC_BAD_PROPERTY, naming the property.
 */
export function run<T>(properties: Pick<Properties, 'group' | 'mode'>, fn: () => T): T {
  const { group, mode } = parseProperties(DEFAULT_TARGET, properties);
  const named = { ...(group === null ? {} : { group }), ...(properties.mode === undefined ? {} : { mode }) };
  used = true;
  return storage.run({ ...storage.getStore(), ...named }, fn);
}

/** The target with what the scope says; the same object when it says nothing else, or there is none. */
export function scoped(target: Target): Target {
  const scope = used ? storage.getStore() : undefined;
  if (scope === undefined) return target;
  const { group = target.group, mode = target.mode } = scope;
  return group === target.group && mode === target.mode ? target : Object.freeze({ group, mode });
}
