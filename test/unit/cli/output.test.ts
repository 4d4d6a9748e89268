import { describe, expect, it } from 'vitest';
import { type CliCommand, catalogue } from '../../../src/cli/catalogue.js';
import { formatDouble, formatReply, printable } from '../../../src/cli/output.js';

describe('numbers with a point', () => {
  it.each([
    [1, '1.0'],
    [0, '0.0'],
    [0.25, '0.25'],
    [-2.5, '-2.5'],
    [1_795_290_537.289_1, '1795290537.29'],
    [1_795_290_537.3, '1795290537.3'],
    [1_795_290_537, '1795290537.0'],
    [99_999_999_999, '99999999999.0'],
    [999_999_999_999.9, '1e+12'],
    [1e30, '1e+30'],
    [1e-9, '1e-09'],
    [0.000_1, '0.0001'],
    [0.000_012_3, '1.23e-05'],
    [0.1 + 0.2, '0.3'],
  ])('%d is %s', (value, text) => {
    expect(formatDouble(value)).toBe(text);
  });
});

it('text of others does not steer the terminal', () => {
  expect(printable('a\u001b[2Jb\nc\u009bd é')).toBe('a\\x1b[2Jb\\x0ac\\x9bd é');
});

describe('a table', () => {
  const shown = (name: string, columns: readonly string[], rows: readonly (readonly string[])[]) => {
    const reply = { fabricUuid: 'u', ttl: 1, error: '', resultSets: [{ columns, rows }] };
    return formatReply(reply, catalogue.get(name) as CliCommand)
      .split('\n')
      .slice(3, -2);
  };
  const long = 'a sentence that is '.repeat(20);

  it('whose last column is sentences begins them at the left, so that a narrow terminal is not full of blanks', () => {
    expect(
      shown(
        'group.why',
        ['server_uuid', 'sentence'],
        [
          ['one', long],
          ['None', 'short'],
        ],
      ),
    ).toEqual(['server_uuid sentence', '----------- --------', `        one ${long}`, '       None short', '']);
  });

  it('of the original is right-aligned', () => {
    expect(shown('group.health', ['issue'], [['long'], ['x']])).toEqual(['issue', '-----', ' long', '    x', '']);
  });
});
