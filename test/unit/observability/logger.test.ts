import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { Secret } from '../../../src/config/index.ts';
import { SyncError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/observability/logger.ts';

const canary = 'CANARY4711';

function collect(format: 'json' | 'human'): { readonly logger: ReturnType<typeof createLogger>; readonly text: () => string } {
  let text = '';
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  return { logger: createLogger({ format, destination }), text: () => text };
}

test.each(['json', 'human'] as const)('no secret reaches the %s log', (format) => {
  const { logger, text } = collect(format);
  logger.info({ harmless: canary }, 'a canary that is found');
  expect(text()).toContain(canary);

  const { logger: guarded, text: printed } = collect(format);
  const vendorError = Object.assign(new Error(`postgres://user:${canary}@host/db`), {
    config: { headers: { Authorization: `Bearer ${canary}` } },
  });
  guarded.info({ secret: new Secret('the file x', () => canary) }, 'held');
  guarded.info({ clientSecret: canary, nested: { list: [{ password: canary, apiKey: canary, 'x-api-key': canary }] } }, 'named');
  guarded.info('Bearer %s', `${canary}aaaa`);
  guarded.info(`client_secret=${canary}&scope=x {"access_token":"${canary}"}`);
  guarded.error(new SyncError({ kind: 'bug', message: `assertion=${canary}`, cause: vendorError }));
  guarded.error({ err: vendorError }, 'failed');
  guarded.error({ something: vendorError }, 'failed');
  guarded.child({ token: canary }).warn('child');
  guarded.info('eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJDQU5BUlkifQ.c2lnbmF0dXJl');
  expect(printed()).not.toContain(canary);
  expect(printed()).not.toContain('eyJ');
  expect(printed().trimEnd().split('\n')).toHaveLength(9);
});

test('says which file and which id, although their names look secret', () => {
  const { logger, text } = collect('json');
  logger.info({ clientSecretFile: '/run/x', tokenCount: 4, credentialType: 'certificate' }, 'm');
  expect(JSON.parse(text())).toMatchObject({ clientSecretFile: '/run/x', tokenCount: 4, credentialType: 'certificate' });
});

test('a line for people', () => {
  const { logger, text } = collect('human');
  logger.warn({ deployment: 'production', err: new Error('connection lost') }, 'the page is read again');
  expect(text()).toMatch(/^\d\d:\d\d:\d\d warning: the page is read again deployment=production \(connection lost\)\n$/);
});

test('a line for machines', () => {
  const { logger, text } = collect('json');
  logger.error(new SyncError({ kind: 'forbidden', message: 'refused', status: 403, code: 'AuthorizationFailed', requestId: 'r-1' }));
  expect(JSON.parse(text())).toMatchObject({
    level: 'error',
    msg: 'refused',
    err: { type: 'SyncError', kind: 'forbidden', status: 403, code: 'AuthorizationFailed', requestId: 'r-1' },
  });
});
