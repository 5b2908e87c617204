/**
 * A namespace of the shared Temporal server for one test file. `schedules apply` looks after every schedule of its namespace, and
 * clients that are not the CLI use the usual task queue, so a file with either keeps to itself.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from '@jest/globals';
import { connectTemporal, type TemporalConnection } from '../../src/temporal/connect.ts';
import { acquireTemporalDevServer, type TemporalDevServer } from '../../src/temporal/dev-server.ts';
import { ensureSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { temporalOptions } from '../integration/server-folders.ts';
import { withTemporal, type TemporalForTests } from '../integration/servers.ts';

/** As `withTemporal`, with a new namespace. Call it at the top of a test file. */
export function withOwnNamespace(name: string): TemporalForTests {
  // First, so that the server itself is started for the namespace that all others share.
  const shared = withTemporal();
  const namespace = `${name}-${randomBytes(4).toString('hex')}`;
  let server: TemporalDevServer | undefined;
  let connected: TemporalConnection | undefined;
  beforeAll(async () => {
    server = await acquireTemporalDevServer({ ...temporalOptions(), namespace });
    connected = await connectTemporal(server);
    await ensureSearchAttributes(connected.connection, namespace);
  }, 120_000);
  afterAll(async () => {
    await connected?.connection.close();
    await server?.release();
  });
  const open = (): TemporalConnection => {
    if (connected === undefined) throw new Error('the namespace is not there yet: use it in beforeAll or later');
    return connected;
  };
  return {
    namespace,
    get address() {
      return shared.address;
    },
    get uiUrl() {
      return shared.uiUrl;
    },
    get connection() {
      return open().connection;
    },
    get client() {
      return open().client;
    },
  };
}
