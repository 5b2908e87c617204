import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to a server that can be cut: whoever goes through it is then alone, and does not hear of it. */
export interface Passage {
  /** `127.0.0.1:port`, to be used instead of the server's own. */
  readonly address: string;
  /** Ends all connections and takes no more. */
  cut(): Promise<void>;
}

/** @param target `host:port` */
export async function openPassage(target: string): Promise<Passage> {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  const remember = (socket: Socket): void => {
    sockets.add(socket);
    // A cut connection ends with an error on either side: that is what it is for.
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    const far = connect(Number(port), host);
    remember(near);
    remember(far);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
