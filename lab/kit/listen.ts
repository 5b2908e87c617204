import type { AddressInfo } from 'node:net';
import type { Server } from 'node:net';

/** Listens on 127.0.0.1, on the wanted port or, if that one is taken, on a free one. Returns the port. */
export async function listenOnLoopback(server: Server, wantedPort: number | undefined): Promise<number> {
  try {
    return await listenOnce(server, wantedPort ?? 0);
  } catch (error) {
    const code = Error.isError(error) && 'code' in error ? error.code : undefined;
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
    return listenOnce(server, 0);
  }
}

function listenOnce(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      server.off('listening', ready);
      reject(error);
    };
    const ready = (): void => {
      server.off('error', failed);
      resolve((server.address() as AddressInfo).port);
    };
    server.once('error', failed);
    server.once('listening', ready);
    server.listen({ host: '127.0.0.1', port });
  });
}
