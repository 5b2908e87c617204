/** A TLS front for a real server that speaks plain TCP, as a proxy in production would be. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { LabCertificate } from '../../../lab/kit/tls.ts';

export interface TlsFront {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * @param to `host:port`
 * @param postgres PostgreSQL's clients ask for encryption in the clear first, and are answered `S`
 */
export async function startTlsFront(
  to: { readonly host: string; readonly port: number },
  certificate: LabCertificate,
  { postgres = false }: { readonly postgres?: boolean } = {},
): Promise<TlsFront> {
  const sockets = new Set<Socket>();
  const secureContext = createSecureContext(certificate);
  const encrypt = (socket: Socket): void => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: postgres ? ['postgresql'] : ['h2'] });
    const upstream = connect(to);
    sockets.add(upstream);
    secure.on('error', () => upstream.destroy());
    upstream.on('error', () => secure.destroy());
    secure.pipe(upstream).pipe(secure);
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (!postgres) {
      encrypt(socket);
      return;
    }
    socket.once('data', () => {
      socket.write('S');
      encrypt(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('There is no port.');
  return {
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
