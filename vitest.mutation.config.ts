import { defineConfig } from 'vitest/config';

/** `npm run test:mutation`: the tests that judge the mutants; each is run many times, so only those that need no server. */
export default defineConfig({
  test: {
    include: ['test/tables/{route,verdict}.test.ts', 'test/unit/client/{balancers,topology-cache}.test.ts'],
    testTimeout: 30_000,
  },
});
