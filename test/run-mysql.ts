/** `npm run test:mysql -- 5.6 [file...] [options of vitest]`: the integration tests, or some of them, against one version of MySQL. */
import { spawnSync } from 'node:child_process';
import { SERVER_VERSIONS } from '../src/testing.js';

const [version = '', ...rest] = process.argv.slice(2);

if (SERVER_VERSIONS.some(name => name === version)) {
  const firstOption = rest.findIndex(argument => argument.startsWith('-'));
  const files = firstOption < 0 ? rest : rest.slice(0, firstOption);
  // These run on versions of their own, whatever is asked for, or on none; they are run when they are named.
  const both = [
    'demote',
    'membership',
    'operations',
    'reopening',
    'store-mysql',
    'acceptance-*',
    'least-privileges',
    'received',
  ];
  const all = [
    ...both,
    'demo',
    'crash',
    'promotion-mishaps',
    'access',
    'daemon',
    'endpoint-*',
    'fabric-*',
    'fuzz',
    'testing-fault-proxy',
  ];
  const own = files.length === 0 ? all.map(name => `--exclude=**/${name}.test.ts`) : [];
  // vitest takes files as parts of a path, any of which may match
  const filters = files.length === 0 ? ['test/integration/'] : files.map(name => `test/integration/${name}`);
  const { status } = spawnSync('npx', ['vitest', 'run', ...filters, ...own, ...rest.slice(files.length)], {
    stdio: 'inherit',
    env: { ...process.env, FABRIC_TEST_MYSQL: version },
  });
  process.exitCode = status ?? 1;
} else {
  console.error(
    `usage: npm run test:mysql -- <version> [file...] [options of vitest]\nversions: ${SERVER_VERSIONS.join(', ')}`,
  );
  process.exitCode = 2;
}
