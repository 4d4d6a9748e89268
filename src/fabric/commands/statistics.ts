import type { Count } from '../store/store.js';
import { type CommandContext, column, read } from './define.js';
import { likePattern } from './like.js';

/** What the node has done so far. */

/** By subject, in the store's order; a part of the name chooses, as SQL LIKE %pattern%. */
async function totals(kind: Count['kind'], pattern: string | null, { store, statistics }: CommandContext) {
  await statistics.flush();
  const matches = likePattern(pattern ?? '');
  const bySubject = new Map<string, Map<string, number>>();
  for (const { subject, event, total } of await store.counts(kind)) {
    if (!matches(subject)) continue;
    const events = bySubject.get(subject) ?? new Map<string, number>();
    bySubject.set(subject, events.set(event, total));
  }
  return bySubject;
}

/** As the original's language writes a span of time: `0:01:59`, `1 day, 0:00:00`. */
function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${Math.floor(seconds / 3_600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const days = Math.floor(seconds / 86_400);
  return days === 0 ? clock : `${days} day${days === 1 ? '' : 's'}, ${clock}`;
}

/** UTC. */
function formatTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}

const COUNTS = [column('call_count', 'int'), column('call_abort', 'int')];

/** What an int of the XML-RPC protocol can be at most. */
const MOST = 2 ** 31 - 1;
const countOf = (events: ReadonlyMap<string, number>, event: string) => Math.min(events.get(event) ?? 0, MOST);

export const statisticsCommands = [
  read({
    name: 'statistics.node',
    doc: 'How long the node has been running, and since when (UTC).',
    params: [],
    sets: [[column('node_id', 'string'), column('node_uptime', 'string'), column('node_startup', 'string')]],
    run: async (_args, { startedAt, now }) => [[['0', formatSpan(now() - startedAt), formatTime(startedAt)]]],
  }),

  read({
    name: 'statistics.group',
    doc: 'How often the primary of a group was promoted (call_count) and demoted (call_abort).',
    params: [
      {
        name: 'group_id',
        doc: 'Only groups with this in their names; all if not given.',
        type: 'string',
        default: null,
      },
    ],
    sets: [[column('group_id', 'string'), ...COUNTS]],
    run: async ({ group_id: pattern }, context) => {
      const groups = await totals('group', pattern, context);
      return [[...groups].map(([id, events]) => [id, countOf(events, 'promoted'), countOf(events, 'demoted')])];
    },
  }),

  read({
    name: 'statistics.procedure',
    doc: 'How often each command was called (call_count) and failed (call_abort), since the state store was made.',
    params: [
      {
        name: 'procedure_name',
        doc: 'Only commands with this in their names; all if not given.',
        type: 'string',
        default: null,
      },
    ],
    sets: [[column('proc_name', 'string'), ...COUNTS]],
    run: async ({ procedure_name: pattern }, context) => {
      const commands = await totals('command', pattern, context);
      return [[...commands].map(([name, events]) => [name, countOf(events, 'called'), countOf(events, 'failed')])];
    },
  }),
] as const;
