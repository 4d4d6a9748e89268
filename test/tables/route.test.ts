import { describe, expect, it } from 'vitest';
import { candidates, lastResort, NOWHERE } from '../../src/client/route.js';
import {
  MODE_NAMES,
  MODE_READONLY,
  MODE_READWRITE,
  MODE_WRITEONLY,
  type Mode,
  type Server,
  STATUS_NAMES,
  type Status,
  type Topology,
} from '../../src/wire/topology.js';

/** The read/write rule: which server serves what, alone in its group and beside others. */

type StatusName = (typeof STATUS_NAMES)[number];
type ModeName = (typeof MODE_NAMES)[number];

/** What a server that is alone in its group serves, for every status and mode. */
const ALONE: readonly [StatusName, ModeName, serves: string][] = [
  ['PRIMARY', 'READ_WRITE', 'reads writes'],
  ['PRIMARY', 'WRITE_ONLY', 'writes'],
  ['PRIMARY', 'READ_ONLY', 'reads'],
  ['PRIMARY', 'OFFLINE', ''],
  ['SECONDARY', 'READ_WRITE', ''],
  ['SECONDARY', 'WRITE_ONLY', ''],
  ['SECONDARY', 'READ_ONLY', 'reads'],
  ['SECONDARY', 'OFFLINE', ''],
  ['SPARE', 'READ_WRITE', ''],
  ['SPARE', 'WRITE_ONLY', ''],
  ['SPARE', 'READ_ONLY', 'reads'],
  ['SPARE', 'OFFLINE', ''],
  ['FAULTY', 'READ_WRITE', ''],
  ['FAULTY', 'WRITE_ONLY', ''],
  ['FAULTY', 'READ_ONLY', ''],
  ['FAULTY', 'OFFLINE', ''],
];

/** Groups: who reads, who writes, and who reads when no reader can be reached. */
const GROUPS: readonly [name: string, servers: string, reads: string, writes: string, lastResort: string][] = [
  ['a primary and two secondaries', 'p:P/READ_WRITE a:S/READ_ONLY b:S/READ_ONLY', 'a b', 'p', 'p'],
  ['the primary reads only when there is no other', 'p:P/READ_WRITE a:S/OFFLINE b:F/READ_ONLY', 'p', 'p', 'p'],
  ['a spare set to READ_ONLY reads', 'p:P/READ_WRITE a:SP/READ_ONLY', 'a', 'p', 'p'],
  ['a spare that is OFFLINE does not', 'p:P/READ_WRITE a:SP/OFFLINE', 'p', 'p', 'p'],
  ['a WRITE_ONLY primary never reads', 'p:P/WRITE_ONLY', '', 'p', ''],
  ['nor when its readers are gone', 'p:P/WRITE_ONLY a:S/OFFLINE', '', 'p', ''],
  ['a group without a primary still reads', 'a:S/READ_ONLY b:S/READ_ONLY', 'a b', '', ''],
  ['a READ_ONLY primary takes no writes', 'p:P/READ_ONLY a:S/READ_ONLY', 'p a', '', ''],
  ['all are faulty', 'p:F/READ_WRITE a:F/READ_ONLY', '', '', ''],
  ['an empty group', '', '', '', ''],
];

const STATUS_LETTERS: Readonly<Record<string, StatusName>> = {
  P: 'PRIMARY',
  S: 'SECONDARY',
  SP: 'SPARE',
  F: 'FAULTY',
};

function server(uuid: string, status: StatusName, mode: ModeName): Server {
  const place = { uuid, group: 'g', host: uuid, port: 3306, weight: 1 };
  return { ...place, status: STATUS_NAMES.indexOf(status) as Status, mode: MODE_NAMES.indexOf(mode) as Mode };
}

function topologyOf(servers: readonly Server[]): Topology {
  return { group: 'g', servers, fabricUuid: 'f', ttl: 1 };
}

function parse(text: string): Topology {
  const parts = text.split(' ').filter(Boolean);
  return topologyOf(
    parts.map(part => {
      const [uuid = '', rest = ''] = part.split(':');
      const [status = '', mode] = rest.split('/');
      return server(uuid, STATUS_LETTERS[status] as StatusName, mode as ModeName);
    }),
  );
}

const names = (servers: readonly Server[]): string => servers.map(({ uuid }) => uuid).join(' ');

describe('one server', () => {
  it('has a row for every status and mode', () => {
    const rows = ALONE.map(([status, mode]) => `${status}/${mode}`);
    expect(new Set(rows).size).toBe(STATUS_NAMES.length * MODE_NAMES.length);
  });

  it.each(ALONE)('%s %s serves: %s', (status, mode, serves) => {
    const topology = topologyOf([server('x', status, mode)]);
    const able = (request: 1 | 2 | 3) => candidates(topology, request).length === 1;
    expect(able(MODE_READONLY)).toBe(serves.includes('reads'));
    expect(able(MODE_READWRITE)).toBe(serves.includes('writes'));
    expect(able(MODE_WRITEONLY)).toBe(serves.includes('writes'));
  });
});

describe('a group', () => {
  it.each(GROUPS)('%s', (_name, servers, reads, writes, last) => {
    const topology = parse(servers);
    expect(names(candidates(topology, MODE_READONLY))).toBe(reads);
    expect(names(candidates(topology, MODE_READWRITE))).toBe(writes);
    expect(names(candidates(topology, MODE_WRITEONLY))).toBe(writes);
    expect(names(lastResort(topology, MODE_READONLY))).toBe(last);
    expect(lastResort(topology, MODE_READWRITE)).toEqual([]);
  });

  it('gives the same array for the same topology, so that a balancer need not start anew', () => {
    const topology = parse('p:P/READ_WRITE a:S/READ_ONLY');
    expect(candidates(topology, MODE_READONLY)).toBe(candidates(topology, MODE_READONLY));
    expect(candidates(topology, MODE_READWRITE)).toBe(candidates(topology, MODE_WRITEONLY));
  });
});

it('a statement without a group is for none, and would write', () => {
  expect(NOWHERE).toEqual({ group: '', mode: MODE_READWRITE });
});
