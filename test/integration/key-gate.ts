/** What stands in front of a Temporal server that asks for an API key: gRPC over TLS, refused as such gates do (status 16). */
import { connect, constants, createSecureServer, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { LabCertificate } from '../../lab/kit/tls.ts';

export interface KeyGate {
  readonly port: number;
  /** The only one that is let through. */
  key: string;
  /** Calls that were refused so far. */
  readonly refused: () => number;
  close(): Promise<void>;
}

const unauthenticated = '16';

/** @param to `host:port` of a server that speaks plain HTTP/2 */
export async function startKeyGate(to: string, certificate: LabCertificate, key: string): Promise<KeyGate> {
  let refused = 0;
  const sessions = new Set<Http2Session>();
  const upstream = connect(`http://${to}`);
  const server = createSecureServer({ key: certificate.key, cert: certificate.cert });
  server.on('session', (session: Http2Session) => sessions.add(session));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    if (headers.authorization === `Bearer ${gate.key}`) {
      pass(stream, headers);
      return;
    }
    refused += 1;
    const grpc = { 'content-type': 'application/grpc', 'grpc-status': unauthenticated, 'grpc-message': 'Request unauthorized.' };
    stream.respond({ ':status': 200, ...grpc }, { endStream: true });
  });
  const pass = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    const call = upstream.request({ ...headers, ':scheme': 'http' });
    let trailers: IncomingHttpHeaders = {};
    call.on('response', (answered: IncomingHttpHeaders, flags: number) => {
      // An error is all in the first headers, and nothing follows.
      const isAll = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answered, isAll ? { endStream: true } : { waitForTrailers: true });
    });
    call.on('trailers', (given: IncomingHttpHeaders) => {
      trailers = given;
    });
    stream.on('wantTrailers', () => {
      stream.sendTrailers(trailers);
    });
    stream.on('close', () => call.close(constants.NGHTTP2_CANCEL));
    for (const end of [stream, call]) end.on('error', () => undefined);
    stream.pipe(call).pipe(stream);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('There is no port.');
  const gate: KeyGate = {
    port: address.port,
    key,
    refused: () => refused,
    close: async () => {
      upstream.destroy();
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return gate;
}
