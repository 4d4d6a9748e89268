/** `npm run test:mysql -- 5.6 [arguments of vitest]`: the integration tests against one version of MySQL. */
import { spawnSync } from 'node:child_process';
import { SERVER_VERSIONS } from '../src/testing.js';

const [version = '', ...rest] = process.argv.slice(2);

if (SERVER_VERSIONS.some(name => name === version)) {
  const { status } = spawnSync('npx', ['vitest', 'run', 'test/integration', ...rest], {
    stdio: 'inherit',
    env: { ...process.env, FABRIC_TEST_MYSQL: version },
  });
  process.exitCode = status ?? 1;
} else {
  console.error(
    `usage: npm run test:mysql -- <version> [arguments of vitest]\nversions: ${SERVER_VERSIONS.join(', ')}`,
  );
  process.exitCode = 2;
}
