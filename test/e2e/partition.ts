import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { joinSockets } from '../integration/join-sockets.ts';

/** A way to a server that can be cut: whoever goes through it is then alone, and does not hear of it. */
export interface Passage {
  /** `127.0.0.1:port`, to be used instead of the server's own. */
  readonly address: string;
  /** Ends all connections and takes no more. */
  cut(): Promise<void>;
  /** Ends all connections; new ones are let through. */
  hangUp(): void;
}

/** @param target `host:port` */
export async function openPassage(target: string): Promise<Passage> {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    sockets.add(near);
    near.on('close', () => sockets.delete(near));
    joinSockets(near, connect(Number(port), host));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: async () => {
      const closed = once(server, 'close');
      server.close();
      hangUp();
      await closed;
    },
    hangUp,
  };
}
