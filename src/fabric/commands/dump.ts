import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Cell, Column } from '../../wire/reply.js';
import { STATUS_FAULTY } from '../../wire/topology.js';
import { CommandError } from '../errors.js';
import { formatAddress } from '../model.js';
import type { GroupRecord } from '../store/store.js';
import { column, read } from './define.js';
import { likePattern } from './like.js';

/** What connectors fetch. */

const PATTERNS = [
  { name: 'connector_version', doc: 'Ignored; connectors send 0.', type: 'any', default: null },
  {
    name: 'patterns',
    doc: 'Comma list of name patterns; each matches as SQL LIKE %pattern%.',
    type: 'string',
    default: '',
  },
] as const;

/** More in one call is nobody's need, and would keep the node busy for long. */
const MAX_PATTERNS = 1_000;
/** So many rows may be asked for whatever there is, by patterns that overlap; and twice as many as there are servers. */
const MAX_ROWS = 10_000;

/** The parts of the comma list, each once; an empty list is one pattern that matches everything. */
function splitPatterns(patterns: string): string[] {
  const parts = patterns
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
  if (parts.length > MAX_PATTERNS) {
    throw new CommandError('CommandError', `More than ${MAX_PATTERNS} patterns in one call.`);
  }
  return parts.length > 0 ? [...new Set(parts)] : [''];
}

/** Those of the first pattern's groups first. Others get their turn between patterns. */
async function matchingRows(patterns: readonly string[], groups: readonly GroupRecord[]): Promise<Cell[][]> {
  const most = Math.max(MAX_ROWS, 2 * groups.reduce((sum, { servers }) => sum + servers.length, 0));
  const rows: Cell[][] = [];
  for (const [index, pattern] of patterns.entries()) {
    if (index > 0) await nextTurn();
    const matches = likePattern(pattern);
    for (const group of groups) {
      if (matches(group.id)) rows.push(...serverRows(group));
    }
    if (rows.length > most) throw tooManyRows(most);
  }
  return rows;
}

function tooManyRows(most: number): CommandError {
  const counted = 'those that several match counted for each';
  return new CommandError(
    'CommandError',
    `The patterns match more than ${most} servers, ${counted}: ask with fewer patterns.`,
  );
}

function serverRows(group: GroupRecord): Cell[][] {
  const byAddress = [...group.servers].sort((a, b) => (formatAddress(a) < formatAddress(b) ? -1 : 1));
  return byAddress
    .filter(server => server.status !== STATUS_FAULTY)
    .map(({ uuid, host, port, mode, status, weight }) => [uuid, group.id, host, port, mode, status, weight]);
}

/** A command of the original's sharding, which this node does not have: the right columns, no rows. */
function shardDump(name: string, doc: string, columns: readonly Column[]) {
  return read({ name, doc, params: PATTERNS, sets: [columns], cacheable: true, run: async () => [[]] });
}

const text = (name: string) => column(name, 'string');
const int = (name: string) => column(name, 'int');

export const dumpCommands = [
  read({
    name: 'dump.servers',
    doc: 'The servers of the matching groups, without the FAULTY ones. Overlapping patterns give a server more than once.',
    params: PATTERNS,
    sets: [
      [
        text('server_uuid'),
        text('group_id'),
        text('host'),
        int('port'),
        int('mode'),
        int('status'),
        column('weight', 'double'),
      ],
    ],
    cacheable: true,
    run: async ({ patterns }, { store }) => [await matchingRows(splitPatterns(patterns), await store.groups())],
  }),

  read({
    name: 'dump.fabric_nodes',
    doc: 'Where Fabric nodes listen.',
    params: [
      { name: 'protocol', doc: 'protocol.xmlrpc or protocol.mysql; all if not given.', type: 'string', default: null },
    ],
    sets: [[text('host'), int('port')]],
    run: async ({ protocol }, { endpoints }) => {
      if (protocol !== null && protocol !== 'protocol.xmlrpc' && protocol !== 'protocol.mysql') {
        throw new CommandError('CommandError', `Protocol (${protocol}) is not supported.`);
      }
      const listed = endpoints().filter(endpoint => protocol === null || endpoint.protocol === protocol);
      return [listed.map(({ host, port }) => [host, port])];
    },
  }),

  shardDump('dump.shard_maps', 'Always empty: there is no sharding.', [
    int('mapping_id'),
    text('type_name'),
    text('global_group_id'),
  ]),
  shardDump('dump.shard_tables', 'Always empty: there is no sharding.', [
    text('schema_name'),
    text('table_name'),
    text('column_name'),
    int('mapping_id'),
  ]),
  shardDump('dump.shard_index', 'Always empty: there is no sharding.', [
    text('lower_bound'),
    int('mapping_id'),
    int('shard_id'),
    text('group_id'),
  ]),
  shardDump('dump.sharding_information', 'Always empty: there is no sharding.', [
    text('schema_name'),
    text('table_name'),
    text('column_name'),
    text('lower_bound'),
    int('shard_id'),
    text('type_name'),
    text('group_id'),
    text('global_group'),
  ]),
] as const;
