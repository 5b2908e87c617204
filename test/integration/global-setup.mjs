// jest.config.mjs: globalSetup. Gives the run its own server folders; the servers start when a test file first asks for them.
import { openServerFolders } from './server-folders.ts';

export default async function globalSetup() {
  globalThis.defenderSyncTestServers = await openServerFolders();
}
