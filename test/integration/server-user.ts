/**
 * A process that uses a server, for the tests of sharing and of crashes: `node server-user.ts postgres|temporal <dir> [cacheDir]`.
 * Prints one JSON line with the server's address, then holds its lease until its standard input ends.
 */
import { acquireEmbeddedPostgres } from '../../src/ledger/server/index.ts';
import { acquireTemporalDevServer } from '../../src/temporal/dev-server.ts';

const [kind, dir = '', cacheDir] = process.argv.slice(2);
const server =
  kind === 'postgres'
    ? await acquireEmbeddedPostgres({ dir, cacheDir })
    : await acquireTemporalDevServer({ dir, cacheDir, environment: process.env, preferredPorts: { frontend: 0, ui: 0 } });
process.stdout.write(`${JSON.stringify(server)}\n`);
process.stdin.resume();
await new Promise((done) => process.stdin.once('end', done));
await server.release();
