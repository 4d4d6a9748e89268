import { describe, expect, it } from 'vitest';
import { MODES_BY_STATUS, modeMove, STATUS_MOVES, statusMove } from '../../src/fabric/model.js';
import { MODE_NAMES, type Mode, STATUS_NAMES, type Status } from '../../src/wire/topology.js';

const UUID = '7f620b72-e5e4-11f1-a89c-02fc00000001';
const codes = [0, 1, 2, 3] as const;

/** What a real node of the original did with `server.set_status`: rows from, columns to FAULTY, SPARE, SECONDARY, PRIMARY. */
const STATUS_MATRIX = {
  FAULTY: ['threat', 'OFFLINE', 'no', 'promote'],
  SPARE: ['threat', 'no', 'READ_ONLY', 'promote'],
  SECONDARY: ['threat', 'OFFLINE', 'no', 'promote'],
  PRIMARY: ['threat', 'no', 'no', 'promote'],
} as const;

/** The same for `server.set_mode`: columns OFFLINE, READ_ONLY, WRITE_ONLY, READ_WRITE. */
const MODE_MATRIX = {
  FAULTY: [false, false, false, false],
  SPARE: [true, true, false, false],
  SECONDARY: [true, true, false, false],
  PRIMARY: [false, false, true, true],
} as const;

const pairs = codes.flatMap(from => codes.map(to => [from, to] as const));

function refusal(from: Status, to: Status): string {
  const answers = {
    promote: `If you want to make a server (${UUID}) primary, please, use the group.promote function.`,
    threat: `If you want to set a server (${UUID}) to faulty, please, use the threat.report_failure interface.`,
    no: `Cannot change server's (${UUID}) status from (${STATUS_NAMES[from]}) to (${STATUS_NAMES[to]}).`,
  };
  return answers[STATUS_MATRIX[STATUS_NAMES[from]][to] as keyof typeof answers];
}

describe('server.set_status', () => {
  it.each(pairs.map(([from, to]) => [STATUS_NAMES[from], STATUS_NAMES[to], from, to] as const))(
    '%s to %s',
    (fromName, _toName, from, to) => {
      const expected = STATUS_MATRIX[fromName][to];
      const mode = MODE_NAMES.indexOf(expected as (typeof MODE_NAMES)[number]);
      const result = statusMove({ uuid: UUID, status: from }, to);
      if (mode >= 0) expect(result).toMatchObject({ value: { from, to, mode } });
      else expect(result).toEqual({ problem: refusal(from, to) });
    },
  );
});

describe('server.set_mode', () => {
  const cases = codes.flatMap(status =>
    codes.map(mode => [STATUS_NAMES[status], MODE_NAMES[mode], status, mode] as const),
  );
  it.each(cases)('%s may be %s', (statusName, modeName, status: Status, mode: Mode) => {
    const expected = MODE_MATRIX[statusName][mode]
      ? { value: mode }
      : { problem: `Cannot set mode to (${modeName}) when the server's (${UUID}) status is (${statusName}).` };
    expect(modeMove({ uuid: UUID, status }, mode)).toEqual(expected);
  });
});

describe('the tables', () => {
  it('give every move a reason, and a mode that the new status allows', () => {
    for (const { to, mode, reason } of STATUS_MOVES) {
      expect(reason).not.toBe('');
      if (mode !== null) expect(MODES_BY_STATUS[to].modes).toContain(mode);
    }
  });

  it('leave FAULTY by an operator’s repair, or by a failover that found nobody else', () => {
    const moves = STATUS_MOVES.filter(({ from }) => from === 0).map(({ to, by }) => [to, by]);
    expect(moves).toEqual([
      [1, 'server.set_status'],
      [3, 'threat'],
    ]);
  });
});
