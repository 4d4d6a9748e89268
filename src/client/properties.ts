import { MODE_READONLY, MODE_READWRITE, MODE_WRITEONLY } from '../wire/topology.js';
import { badInput } from './errors.js';
import type { RequestMode } from './route.js';

/** What a statement is routed by: properties of connections, pools and single statements. */

/** What may be set per connection or pool with `setProperty`, per statement (`{ sql, mode }`), or straight in the options. */
export interface Properties {
  /** The high-availability group. */
  group?: string;
  /** MODE_READONLY (1), MODE_WRITEONLY (2), MODE_READWRITE (3, the default), or their names. */
  mode?: RequestMode | ModeName;
  /** Sharding is not supported: giving it is an error. */
  tables?: readonly string[];
  key?: unknown;
}

export type ModeName = 'READONLY' | 'WRITEONLY' | 'READWRITE' | 'READ_ONLY' | 'WRITE_ONLY' | 'READ_WRITE';

/** What a statement is routed by. `group` null: not chosen yet. */
export interface Target {
  readonly group: string | null;
  readonly mode: RequestMode;
}

export const DEFAULT_TARGET: Target = Object.freeze({ group: null, mode: MODE_READWRITE });

const MODES: Readonly<Record<string, RequestMode>> = {
  READONLY: MODE_READONLY,
  READ_ONLY: MODE_READONLY,
  WRITEONLY: MODE_WRITEONLY,
  WRITE_ONLY: MODE_WRITEONLY,
  READWRITE: MODE_READWRITE,
  READ_WRITE: MODE_READWRITE,
};

/** The table of properties: name → what it becomes. */
const PROPERTIES: Readonly<Record<string, (value: unknown, bad: Bad) => Partial<Target>>> = {
  group: (value, bad) => {
    if (typeof value !== 'string') throw bad(TypeError, 'group', 'expected the name of a group as a string');
    if (value === '') throw bad(RangeError, 'group', 'expected the name of a group, not an empty string');
    return { group: value };
  },
  mode: (value, bad) => {
    const mode = typeof value === 'string' ? MODES[value.toUpperCase()] : value;
    if (mode === MODE_READONLY || mode === MODE_WRITEONLY || mode === MODE_READWRITE) return { mode };
    throw bad(
      typeof value === 'string' || typeof value === 'number' ? RangeError : TypeError,
      'mode',
      'expected MODE_READONLY (1), MODE_WRITEONLY (2) or MODE_READWRITE (3)',
    );
  },
};

type Bad = (kind: typeof TypeError | typeof RangeError, name: string, expected: string) => Error;

/**
 * The target that `changes` make of `current`. A property given as undefined stays as it was.
 * @throws TypeError, RangeError naming the property.
 */
export function parseProperties(
  current: Target,
  changes: Properties,
  code: 'FABRIC_BAD_PROPERTY' | 'FABRIC_BAD_OPTION' = 'FABRIC_BAD_PROPERTY',
): Target {
  const bad: Bad = (kind, name, expected) => badInput(kind, code, name, expected);
  if (changes === null || typeof changes !== 'object' || Array.isArray(changes)) {
    throw bad(TypeError, 'properties', 'expected an object such as { group, mode }');
  }
  let target = current;
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    if (name === 'tables' || name === 'key') throw shardingError(changes, name, bad);
    const parse = Object.hasOwn(PROPERTIES, name) ? PROPERTIES[name] : undefined;
    if (parse === undefined) throw bad(TypeError, name, 'unknown property; known are group and mode');
    target = { ...target, ...parse(value, bad) };
  }
  return Object.freeze(target);
}

function shardingError(changes: Properties, name: string, bad: Bad): Error {
  return changes.group === undefined
    ? bad(TypeError, name, 'sharding is not supported; choose a group')
    : bad(TypeError, name, 'group and tables exclude each other; choose one');
}
