/**
 * A process that publishes what its ledger wants, as a worker's activity does, to be killed while it waits for an answer:
 *
 *     node test/e2e/batch-client.ts <configuration> <ledger URL> <run id> <fence>
 *
 * Prints `intent` whenever a Batch request is about to be sent.
 */
import { loadConfiguration } from '../../src/config/index.ts';
import { publishAll } from './publish-all.ts';

const [configFile = '', ledgerUrl = '', runId = '', fence = ''] = process.argv.slice(2);
await publishAll(loadConfiguration(configFile), ledgerUrl, { runId, fence: Number(fence) }, (name) => {
  if (name === 'publish.after-intent') console.log('intent');
});
