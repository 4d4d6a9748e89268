import { type Properties, parseProperties, type Target } from './properties.js';
import type { Route } from './route.js';
import { scoped } from './scope.js';

export function routeOf({ group, mode }: Target): Route | null {
  return group === null ? null : Object.freeze({ group, mode });
}

/** The target with what `{ sql, group, mode }` says, else the scope; the same object when they say nothing else. */
export function statementTarget(target: Target, sql: unknown): Target {
  const base = scoped(target);
  if (typeof sql !== 'object' || sql === null) return base;
  const { group, mode } = sql as Properties;
  if (group === undefined && mode === undefined) return base;
  const own = parseProperties(base, { group, mode } as Properties);
  return own.group === target.group && own.mode === target.mode ? target : own;
}
