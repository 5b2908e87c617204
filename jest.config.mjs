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
  // For two cores: at any time one of three files waits for a server, a timer or a process that it started.
  maxWorkers: 3,
  testSequencer: '<rootDir>/test/sequencer.mjs',
  testTimeout: 120_000,
  // Names every open handle's file instead of hanging for ever; a leak is a bug, so --forceExit is not used.
  openHandlesTimeout: 2_000,
};
