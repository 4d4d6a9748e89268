/** `npm run test:mutation`: the pure parts of routing, changed in every small way; the tests must notice. */
export default {
  mutate: ['src/client/{route,verdict,balancers,weighted-round-robin,topology-cache}.ts'],
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts', related: false },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  thresholds: { high: 95, low: 90, break: 85 },
  reporters: ['clear-text', 'progress-append-only'],
  clearTextReporter: { allowColor: false, allowEmojis: false, logTests: false, skipFull: true },
  tempDirName: '.stryker',
  ignorePatterns: ['.mysql', 'dist', 'docs', 'examples', 'scripts', 'coverage'],
  // Stryker would rewrite paths in it with a TypeScript API that TypeScript 7 has not; there are none to rewrite.
  tsconfigFile: 'none',
};
