import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { catalogue, groups, options, typed } from '../../../src/cli/catalogue.js';
import { tool } from './tool.js';

const run = promisify(execFile);

/** What bash offers behind these words; the last one is being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const { out } = await tool('completion bash');
  const all = ['mysqlfabric', ...words].map(word => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${all}); COMP_CWORD=${words.length}; _mysqlfabric; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run('bash', ['-c', `${out}\n${ask}`]);
  return stdout.split('\n').filter(Boolean);
}

describe('completion for bash', () => {
  it('offers groups, commands and help', async () => {
    expect(await offered('')).toEqual(expect.arrayContaining([...groups, 'help', '--config=']));
    expect(await offered('gr')).toEqual(['group']);
    expect(await offered('group', 'lookup_')).toEqual(['lookup_groups', 'lookup_servers']);
    expect(await offered('help', 'group', 'pro')).toEqual(['promote']);
    expect(await offered('help', 'comm')).toEqual(['commands']);
    expect(await offered('completion', '')).toEqual(['bash', 'zsh']);
  });

  it('sees past options and their values', async () => {
    expect(await offered('--config', 'a.cfg', 'group', 'promo')).toEqual(['promote']);
    expect(await offered('--config', '=', 'a.cfg', '--json', 'group', 'promo')).toEqual(['promote']);
    expect(await offered('group', 'promote', 'shop', '--update_only', '--sl')).toEqual(['--slave_id=']);
  });

  it('offers the options of every command', async () => {
    for (const command of ['group add', 'dump servers', 'threat report_failure'].map(words =>
      catalogue.get(words.replace(' ', '.')),
    )) {
      if (!command) throw new Error('no such command');
      const names = options(command).map(({ name, type }) => `--${name}${type === 'bool' ? '' : '='}`);
      expect(await offered(...typed(command).split(' '), 'x', '--')).toEqual(expect.arrayContaining(names));
    }
  });
});

it('completion for zsh has the same words', async () => {
  const { out, status } = await tool('completion zsh');
  expect(status).toBe(0);
  expect(out).toMatch(/^#compdef mysqlfabric\n/);
  for (const command of catalogue.values()) expect(out).toContain(`'${typed(command)}'`);
});
