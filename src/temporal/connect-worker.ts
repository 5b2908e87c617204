/** A worker's connection. Apart from the client's, because it loads the native core, which most commands do without. */
import { NativeConnection } from '@temporalio/worker';
import { castConnectError, type TemporalAddress } from './connect.ts';

/** A worker's own kind of connection (the native core's). */
export interface WorkerConnection {
  readonly connection: NativeConnection;
  close(): Promise<void>;
}

/**
 * Connects a worker; it keeps to the newest API key.
 * Errors: as {@link connectTemporal}, without the look at the namespace.
 */
export async function connectWorker(to: TemporalAddress, renewKeyEveryMs = 30_000): Promise<WorkerConnection> {
  try {
    const { address } = to;
    const tls = to.tls?.();
    const apiKey = to.apiKey?.();
    const connection = await NativeConnection.connect({
      address,
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
    });
    const stop = to.apiKey === undefined ? undefined : renewKey(connection, to.apiKey, { known: apiKey, everyMs: renewKeyEveryMs });
    return {
      connection,
      close: async () => {
        stop?.();
        await connection.close();
      },
    };
  } catch (error) {
    throw castConnectError(error, to);
  }
}

/**
 * The native connection takes a key, not somebody to ask for one as the client's does.
 * @param options.known what it was connected with
 */
function renewKey(
  connection: NativeConnection,
  read: () => string,
  { known, everyMs }: { known: string | undefined; readonly everyMs: number },
): () => void {
  const renew = async (): Promise<void> => {
    const now = read();
    if (now === known) return;
    await connection.setApiKey(now);
    known = now;
  };
  // One that is not taken is offered again next time; a connection that is being closed takes none.
  const timer = setInterval(() => void renew().catch(() => undefined), everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
