/** What stands in front of a Temporal server that asks for client certificates: ends TLS, and passes on what is inside. */
import { connect } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { LabCertificate } from '../../../lab/kit/tls.ts';
import { joinSockets } from '../join-sockets.ts';

export interface MutualTlsGate {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** Connections that were let in so far. */
  readonly connections: () => number;
  /**
   * Another certificate of the server (undefined: it stays, and so do the connections that are open) and other clients.
   * @param clients PEM certificates of those who are let in
   */
  change(certificate: LabCertificate | undefined, clients: string): void;
  close(): Promise<void>;
}

/** @param to `host:port` @param clients PEM certificates of those who are let in */
export async function openMutualTlsGate(to: string, certificate: LabCertificate, clients: string): Promise<MutualTlsGate> {
  const [host = '', port = ''] = to.split(':');
  const open = new Set<TLSSocket>();
  let [letIn, current] = [0, certificate];
  const server = createServer({ ...current, ca: clients, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] }, (near) => {
    letIn += 1;
    open.add(near);
    near.on('close', () => open.delete(near));
    joinSockets(near, connect(Number(port), host));
  });
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('There is no port.');
  return {
    address: `127.0.0.1:${address.port}`,
    connections: () => letIn,
    change: (next, allowed) => {
      current = next ?? current;
      server.setSecureContext({ ...current, ca: allowed });
      if (next !== undefined) cut();
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
