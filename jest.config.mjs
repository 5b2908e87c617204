const full = process.env.DEFENDER_SYNC_TEST_TIER === 'full';

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
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
  testTimeout: 60_000,
  // Names every open handle's file instead of hanging for ever; a leak is a bug, so --forceExit is not used.
  openHandlesTimeout: 2_000,
};
