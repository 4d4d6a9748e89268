import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

/** A short run of `npm run test:leak`. */

it('a client that runs for long, while the topology changes, keeps nothing; what is leaked on purpose is noticed', async () => {
  const [, ...args] = packageJson.scripts['test:leak'].split(' ');
  const child = spawn(process.execPath, [...args, '3000', '6'], {
    cwd: join(import.meta.dirname, '../..'),
    timeout: 150_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += chunk));
  const code = await new Promise(resolve => child.on('close', resolve));
  expect(output).toContain('Nothing leaks.');
  expect(output).toMatch(/Planted, and noticed: the heap grew by .+ Timeout after .+ listeners: /);
  expect(code, output).toBe(0);
}, 170_000);
