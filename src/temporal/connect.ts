/** A client's connection to a Temporal server: one per process, shared and closed at the end (temporal.md §3.5). */
import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { isSyncError, SyncError } from '../errors.ts';

/** gRPC status codes this module tells apart. */
const grpc = { notFound: 5, permissionDenied: 7, unauthenticated: 16 } as const;

export type TlsOptions = NativeConnectionOptions['tls'];

export interface TemporalAddress {
  /** `host:port`, for example `127.0.0.1:7233`. */
  readonly address: string;
  readonly namespace: string;
  /**
   * `true` for the system's certificate authorities, or certificates of one's own (mutual TLS); asked for again and again, so that they
   * may be renewed. Off by default, on with an API key.
   */
  readonly tls?: (() => TlsOptions) | undefined;
  /** Of Temporal Cloud, or of whatever authorises calls in front of the server; asked for again and again, so that it may be rotated. */
  readonly apiKey?: (() => string) | undefined;
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
  const connection = await openConnection(to);
  try {
    await requireNamespace(connection, to);
    return { connection, client: new Client({ connection, namespace: to.namespace }) };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Connects without a look at the namespace. Errors: as {@link connectTemporal}. */
export async function openConnection(to: TemporalAddress): Promise<Connection> {
  const { address, apiKey } = to;
  try {
    const tls = to.tls?.();
    return await Connection.connect({
      address,
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey && { apiKey }),
      connectTimeout: connectTimeoutMs,
    });
  } catch (error) {
    throw castConnectError(error, to);
  }
}

/** Errors: as {@link connectTemporal}. */
export async function requireNamespace(connection: Connection, to: TemporalAddress): Promise<void> {
  const { workflowService } = connection;
  try {
    await connection.withDeadline(Date.now() + connectTimeoutMs, () => workflowService.describeNamespace({ namespace: to.namespace }));
  } catch (error) {
    throw castConnectError(error, to);
  }
}

/** Casts what either kind of connection throws. */
export function castConnectError(error: unknown, { address, namespace, apiKey }: TemporalAddress): SyncError {
  // A file of the certificates that cannot be read.
  if (isSyncError(error)) return error;
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
      code: apiKey === undefined ? 'access-refused' : 'api-key-refused',
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
  if (isGrpcServiceError(error)) return error.code;
  // The client library wraps what the first call of a connection was answered.
  return Error.isError(error) && isGrpcServiceError(error.cause) ? error.cause.code : undefined;
}

function messageOf(error: unknown): string {
  if (!Error.isError(error)) return String(error);
  const cause = error.cause;
  return Error.isError(cause) ? cause.message : error.message;
}
