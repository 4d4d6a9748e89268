import { afterAll, beforeAll, expect, it } from 'vitest';
import { digests, http } from '../fuzz/http.js';
import { mysql } from '../fuzz/mysql.js';
import { survives } from '../fuzz/thrower.js';
import { Victim } from '../fuzz/victim.js';

/** A sample of `npm run test:fuzz`: few inputs, and a seed to see them again. */

const inputs = Number(process.env.FUZZ_INPUTS ?? 600);
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 30));

let victim: Victim;
beforeAll(async () => {
  console.log(`FUZZ_SEED=${seed} FUZZ_INPUTS=${inputs}`);
  victim = await Victim.start();
});
afterAll(() => victim.kill());

const port = (protocol: 'xmlrpc' | 'mysql') => victim.ports[protocol];

it.each([
  ['strangers to HTTP', async () => http(port('xmlrpc'), null)],
  ['callers of HTTP', async () => http(port('xmlrpc'), await digests(port('xmlrpc')))],
  ['strangers to the MySQL protocol', async () => mysql(port('mysql'), null)],
  ['callers of the MySQL protocol', async () => mysql(port('mysql'), 'secret')],
])('does no harm: %s', { timeout: 120_000 }, async (_who, protocol) => {
  await survives(victim, await protocol(), { inputs, seed });
});

it('leaves a node that ends by itself', { timeout: 60_000 }, async () => {
  await victim.stop();
  expect(victim.said).toBe('');
});
