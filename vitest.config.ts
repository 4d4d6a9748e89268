import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Servers that somebody else runs are shared by all tests, so that only one file at a time may have them. */
const sharedServers = Boolean(process.env.FABRIC_TEST_SERVERS);
/** A folder that gets a report for machines, one file per run. */
const results = process.env.TEST_RESULTS_DIR;

/** What mysql2 itself prints when it is called as Drizzle calls it, and as some tests do on purpose. */
const ADVICE = /Calling conn\.end\(\) to release|You have tried to call \.then\(\)/;

export default defineConfig({
  test: {
    reporters: results
      ? ['default', ['json', { outputFile: join(results, `vitest-${process.pid}.json`) }]]
      : ['default'],
    onConsoleLog: text => (ADVICE.test(text) ? false : undefined),
    coverage: {
      include: ['src/**'],
      reporter: ['text', 'html', 'json-summary'],
      thresholds: { 'src/client/**': { lines: 95 } },
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,tables,contract}/**/*.test.ts'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // They pack, install and compile: as busy as a machine can be, and so by themselves.
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Each file starts up to six servers, and mostly waits for them.
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 120_000,
          maxWorkers: sharedServers ? 1 : 3,
          fileParallelism: !sharedServers,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
