/** Why nobody answers at an address: the client library waits for its deadline and does not say (temporal.md §3.5). */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';

/**
 * `tls-expected`: the server speaks TLS, and we do not. `no-tls`: the other way round. `silent`: it accepts connections, and what it
 * speaks is not Temporal, or it is not ready.
 */
export type NoAnswer = 'unknown-host' | 'nobody-listens' | 'unreachable' | 'untrusted' | 'tls-expected' | 'no-tls' | 'silent';

export interface Diagnosis {
  readonly why: NoAnswer;
  /** Node's code, for example `ECONNREFUSED`. */
  readonly code: string | undefined;
}

export interface TlsOfAddress {
  readonly ca: Buffer | undefined;
  readonly serverName: string | undefined;
}

const timeoutMs = 3_000;
const ofTcp: Readonly<Record<string, NoAnswer>> = { ENOTFOUND: 'unknown-host', EAI_AGAIN: 'unknown-host', ECONNREFUSED: 'nobody-listens' };
const brokenHandshake = new Set(['EPROTO', 'ECONNRESET', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

/** Connects once more, step by step. @param address `host:port` @param tls undefined: plain TCP */
export async function diagnoseNoAnswer(address: string, tls: TlsOfAddress | undefined): Promise<Diagnosis> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const target = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
  const tcp = await codeOf(() => connectTcp(target), 'connect');
  if (tcp !== undefined) return { why: ofTcp[tcp] ?? 'unreachable', code: tcp };
  const handshake = await codeOf(
    () =>
      connectTls({
        ...target,
        servername: tls?.serverName ?? (/[a-z]/i.test(target.host) && !target.host.includes(':') ? target.host : ''),
        rejectUnauthorized: tls !== undefined,
        ALPNProtocols: ['h2'],
        ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
      }),
    'secureConnect',
  );
  if (tls === undefined) return { why: handshake === undefined ? 'tls-expected' : 'silent', code: undefined };
  if (handshake === undefined) return { why: 'silent', code: undefined };
  return { why: brokenHandshake.has(handshake) || handshake === 'timeout' ? 'no-tls' : 'untrusted', code: handshake };
}

/** Undefined when it connected, else the code of what went wrong. */
function codeOf(open: () => Socket | TLSSocket, event: 'connect' | 'secureConnect'): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = open();
    const end = (code: string | undefined): void => {
      socket.destroy();
      resolve(code);
    };
    socket.setTimeout(timeoutMs, () => end('timeout'));
    socket.once(event, () => end(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.name));
    socket.once('close', () => end('ECONNRESET'));
  });
}
