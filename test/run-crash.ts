/** `npm run test:crash -- [9.7] [5.6] [rounds]`: kills a node at every point of its procedures, against these versions, so many times. */
import { spawnSync } from 'node:child_process';
import { SERVER_VERSIONS } from '../src/testing.js';

const given = process.argv.slice(2);
const asked = SERVER_VERSIONS.filter(version => given.includes(version));
const [rounds = '1', ...unknown] = given.filter(word => !SERVER_VERSIONS.some(version => version === word));

if (/^[1-9]\d?$/.test(rounds) && unknown.length === 0) {
  for (const version of asked.length > 0 ? asked : ['9.7', '5.6']) {
    for (let round = 1; round <= Number(rounds); round += 1) kill(version, round);
  }
} else {
  console.error(`usage: npm run test:crash -- [version...] [rounds]\nversions: ${SERVER_VERSIONS.join(', ')}`);
  process.exitCode = 2;
}

function kill(version: string, round: number): void {
  const began = performance.now();
  const words = ['vitest', 'run', '--project', 'integration', 'test/integration/crash.test.ts'];
  const env = { ...process.env, FABRIC_TEST_MYSQL: version, CRASH_POINTS: 'all' };
  const { status } = spawnSync('npx', words, { stdio: 'inherit', env });
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`MySQL ${version}, round ${round}: ${status === 0 ? 'passed' : 'FAILED'} in ${seconds} s`);
  if (status !== 0) process.exitCode = 1;
}
