// jest.config.mjs: globalTeardown. Runs after failures too; after a killed run, the next one's set-up does this work.
export default async function globalTeardown() {
  await globalThis.defenderSyncTestServers?.close();
}
