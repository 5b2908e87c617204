/** Connections to a Temporal server. One of each kind per process, shared and closed at the end (temporal.md §3.5). */
import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import { NativeConnection, type NativeConnectionOptions } from '@temporalio/worker';
import { SyncError } from '../errors.ts';

/** gRPC status codes this module tells apart. */
const grpc = { notFound: 5, permissionDenied: 7, unauthenticated: 16 } as const;

export interface TemporalAddress {
  /** `host:port`, for example `127.0.0.1:7233`. */
  readonly address: string;
  readonly namespace: string;
  /** `true` for the system's certificate authorities, or certificates of one's own (mutual TLS). Off by default, on with an API key. */
  readonly tls?: NativeConnectionOptions['tls'];
  /** Of Temporal Cloud, or of whatever authorises calls in front of the server. */
  readonly apiKey?: string | undefined;
}

export interface TemporalConnection {
  readonly connection: Connection;
  readonly client: Client;
}

const connectTimeoutMs = 5_000;

/**
 * Connects a client and checks that the namespace exists.
 * Errors: {@link SyncError} `transient` when nothing answers, `misconfigured` when the namespace is missing, `unauthenticated` when refused.
 */
export async function connectTemporal(to: TemporalAddress): Promise<TemporalConnection> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ ...connectionOptions(to), connectTimeout: connectTimeoutMs });
    const { workflowService } = connection;
    await connection.withDeadline(Date.now() + connectTimeoutMs, () => workflowService.describeNamespace({ namespace: to.namespace }));
    return { connection, client: new Client({ connection, namespace: to.namespace }) };
  } catch (error) {
    await connection?.close();
    throw castConnectError(error, to);
  }
}

/**
 * Connects a worker (its own kind of connection: the native core's).
 * Errors: as {@link connectTemporal}, without the look at the namespace.
 */
export async function connectWorker(to: TemporalAddress): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(connectionOptions(to));
  } catch (error) {
    throw castConnectError(error, to);
  }
}

function connectionOptions({ address, tls, apiKey }: TemporalAddress): Pick<NativeConnectionOptions, 'address' | 'tls' | 'apiKey'> {
  return { address, ...(tls === undefined ? {} : { tls }), ...(apiKey === undefined ? {} : { apiKey }) };
}

function castConnectError(error: unknown, { address, namespace }: TemporalAddress): SyncError {
  const code = grpcCodeOf(error);
  if (code === grpc.notFound) {
    return new SyncError({
      kind: 'misconfigured',
      service: 'temporal',
      message: `The Temporal server at ${address} has no namespace "${namespace}".`,
      remedy: `Create it (temporal operator namespace create --namespace ${namespace} --retention 30d) or correct temporal.namespace.`,
      cause: error,
    });
  }
  if (code === grpc.permissionDenied || code === grpc.unauthenticated) {
    return new SyncError({
      kind: 'unauthenticated',
      service: 'temporal',
      message: `The Temporal server at ${address} refuses the namespace "${namespace}" to us: ${messageOf(error)}.`,
      remedy: 'Correct the API key or the client certificate, and check that it may use that namespace.',
      cause: error,
    });
  }
  return new SyncError({
    kind: 'transient',
    service: 'temporal',
    message: `No Temporal server answers at ${address} (${messageOf(error)}).`,
    remedy:
      'Start one (`defender-sync up` brings its own), or correct the Temporal address in the configuration; with TLS, check the certificates too.',
    cause: error,
  });
}

function grpcCodeOf(error: unknown): number | undefined {
  return isGrpcServiceError(error) ? error.code : undefined;
}

function messageOf(error: unknown): string {
  if (!Error.isError(error)) return String(error);
  const cause = error.cause;
  return Error.isError(cause) ? cause.message : error.message;
}
