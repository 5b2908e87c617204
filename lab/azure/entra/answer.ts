import type { FastifyReply } from 'fastify';
import type { JsonObject } from '../json.ts';

/** An answer of the authority, which nobody may cache. */
export function answer(
  reply: FastifyReply,
  { status, body, headers = {} }: { status: number; body: JsonObject; headers?: Readonly<Record<string, string>> },
): FastifyReply {
  return reply
    .code(status)
    .headers({ 'cache-control': 'no-store, no-cache', pragma: 'no-cache', ...headers })
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(body));
}
