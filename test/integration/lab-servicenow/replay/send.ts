import type { Answer, StartedLab } from '../start.ts';
import { differences } from './compare.ts';
import type { Exchange, Payload, RecordedRequest } from './payloads.ts';
import { Presupposed, presuppose } from './presuppose.ts';

/** Replays one payload file and tells how the lab's answers differ; empty: they do not. */
export type Driver = (payload: Payload) => Promise<string[]>;

let bareLab: Promise<StartedLab> | undefined;

/** Stops the lab that replays without presuppositions share. */
export async function stopBareLab(): Promise<void> {
  await (await bareLab)?.stop();
}

/** Runs work against a lab made for it; what presupposes nothing shares one. */
export async function withLab<T>(world: Presupposed, work: (started: StartedLab) => Promise<T>): Promise<T> {
  if (world.isEmpty) return work(await (bareLab ??= world.start()));
  const started = await world.start();
  try {
    return await work(started);
  } finally {
    await started.stop();
  }
}

/** Sends a recorded request; parameters that are printed as placeholders only are left out. */
export function send(started: StartedLab, request: RecordedRequest, as: string | null = 'admin'): Promise<Answer> {
  const [path = '', search = ''] = request.url.split('?', 2);
  const kept = search.split('&').filter((part) => part !== '' && !/=<[^>]+>$/.test(part));
  // A write whose body is not printed still had one.
  const body = request.body ?? (request.method === 'POST' || request.method === 'PATCH' ? {} : undefined);
  const isJson = body !== undefined;
  const given = Object.entries(request.headers).filter(([, value]) => !value.includes('<'));
  const headers = Object.fromEntries([
    ...(isJson ? [['content-type', 'application/json']] : []),
    ...given.map(([name, value]) => [name.toLowerCase(), value]),
  ]) as Record<string, string>;
  return started.call(`${path}${kept.length === 0 ? '' : `?${kept.join('&')}`}`, {
    method: request.method,
    ...(isJson ? { body } : {}),
    headers,
    as,
  });
}

/** Sends the requests of the exchanges one after the other and compares. */
export async function replayAll(started: StartedLab, exchanges: Exchange[], as: string | null = 'admin'): Promise<string[]> {
  const found: string[] = [];
  for (const { request, response } of exchanges) {
    if (request === undefined) continue;
    const answer = await send(started, request, as);
    found.push(...differences(response, answer).map((difference) => `${request.method} ${request.url.slice(0, 80)}: ${difference}`));
  }
  return found;
}

/** The Table and Aggregate API: the records that the answers show are loaded first. */
export const replayTables: Driver = (payload) => withLab(presuppose(payload.exchanges), (started) => replayAll(started, payload.exchanges));

/** A lab with nothing but its own seed, for requests that need nothing else. */
export const replayBare: Driver = (payload) => withLab(new Presupposed(), (started) => replayAll(started, payload.exchanges));
