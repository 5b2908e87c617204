/** The file of trusted authorities may be replaced while the process runs, as any other secret may. */
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createTransport, type HttpAnswer, type Transport } from '../../src/transport.ts';
import { createTestAuthority, type TestAuthority, type TestServer } from './azure-client/test-server.ts';

interface Side {
  readonly authority: TestAuthority;
  readonly server: TestServer;
}

let before: Side;
let after: Side;
let caFile: string;
let transport: Transport;

beforeEach(async () => {
  [before, after] = await Promise.all([open(), open()]);
  caFile = join(before.authority.dir, 'trusted.pem');
  await copyFile(before.authority.caFile, caFile);
  transport = createTransport({ caFile, maxAnswerBytes: 1_000 });
});

afterEach(async () => {
  transport.close();
  for (const { server, authority } of [before, after]) {
    await server.close();
    await authority.remove();
  }
});

async function open(): Promise<Side> {
  const authority = await createTestAuthority();
  const server = await authority.listen(() => ({ status: 200, text: 'yes' }));
  return { authority, server };
}

function ask({ server }: Side): Promise<HttpAnswer> {
  return transport.send({ method: 'GET', url: server.url, headers: {}, timeoutMs: 5_000 });
}

test('an authority that is put in is trusted from the next request on, and the one that was taken out no longer is', async () => {
  await expect(ask(before)).resolves.toMatchObject({ status: 200 });
  await expect(ask(after)).rejects.toMatchObject({ failure: 'untrusted' });
  await copyFile(after.authority.caFile, caFile);
  await expect(ask(after)).resolves.toMatchObject({ status: 200 });
  // Not even on the connection that was kept alive.
  await expect(ask(before)).rejects.toMatchObject({ failure: 'untrusted' });
});

test('a request that is under way when the file changes ends well', async () => {
  const isIn = Promise.withResolvers<undefined>();
  const goOn = Promise.withResolvers<undefined>();
  before.server.answer(async () => {
    isIn.resolve(undefined);
    await goOn.promise;
    return { status: 200, text: 'late' };
  });
  const slow = ask(before);
  await isIn.promise;
  await copyFile(after.authority.caFile, caFile);
  await expect(ask(after)).resolves.toMatchObject({ status: 200 });
  goOn.resolve(undefined);
  await expect(slow).resolves.toMatchObject({ text: 'late' });
});

describe('a file that is being replaced', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['is gone for a moment', () => rm(caFile)],
    ['is empty for a moment', () => writeFile(caFile, '')],
  ])('%s: what was trusted stays', async (_, disturb) => {
    await ask(before);
    await disturb();
    await expect(ask(before)).resolves.toMatchObject({ status: 200 });
    await copyFile(after.authority.caFile, caFile);
    await expect(ask(after)).resolves.toMatchObject({ status: 200 });
  });
});

describe('a file that was never good', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    ['is not there', () => rm(caFile), 'cannot be read (ENOENT)'],
    ['holds no certificate', () => writeFile(caFile, 'not a certificate'), 'holds no certificate'],
  ])('%s: named, with what to do, until it is', async (_, spoil, because) => {
    await spoil();
    const refused = await ask(before).catch((error: unknown) => error);
    expect(refused).toMatchObject({ kind: 'misconfigured', code: 'ca-file-unreadable', remedy: expect.stringContaining('caFile') });
    expect(String(refused)).toContain(caFile);
    expect(String(refused)).toContain(because);
    await copyFile(before.authority.caFile, caFile);
    await expect(ask(before)).resolves.toMatchObject({ status: 200 });
  });
});
