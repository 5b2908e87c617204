const full = process.env.DEFENDER_SYNC_TEST_TIER === 'full';

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // One PostgreSQL and one Temporal server for the whole run (temporal.md §4.4), started when a test first needs them.
  globalSetup: '<rootDir>/test/integration/global-setup.mjs',
  globalTeardown: '<rootDir>/test/integration/global-teardown.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'es6' },
      },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts', ...(full ? ['<rootDir>/test/**/*.full.ts'] : [])],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.defender-sync/'],
  // Two cores: one file waits for servers while the other computes.
  maxWorkers: 2,
  testSequencer: '<rootDir>/test/sequencer.mjs',
  testTimeout: 60_000,
  // Names every open handle's file instead of hanging for ever; a leak is a bug, so --forceExit is not used.
  openHandlesTimeout: 2_000,
};
