/**
 * The host of the worker, as a managed identity meets it: the library asks for the address of its metadata service once per process, so
 * that all states share one, and what answers behind it changes.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

let service: Promise<string> | undefined;
let target: string | undefined;

/** @param origin of the lab's metadata service; undefined: nothing answers */
export async function hostAnsweredBy(origin: string | undefined): Promise<void> {
  target = origin;
  process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] = await (service ??= listen());
}

function listen(): Promise<string> {
  const server = createServer((asked, answer) => {
    if (target === undefined) {
      asked.destroy();
      return;
    }
    const headers = { ...asked.headers, host: new URL(target).host };
    const onward = request(new URL(asked.url ?? '/', target), { method: asked.method, headers, agent: false }, (answered) => {
      // A connection that is kept for later would keep the test process as well.
      answer.writeHead(answered.statusCode ?? 502, { ...answered.headers, connection: 'close' });
      answered.pipe(answer);
    });
    onward.once('error', () => asked.destroy());
    asked.pipe(onward);
  });
  // It is there as long as the process is, as that of a real host.
  server.unref();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}
