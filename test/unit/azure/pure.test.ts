import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeClaims,
  deniedAction,
  guardPage,
  readMissingRoles,
  resolveCloud,
  splitSubscriptions,
  startOfPaging,
} from '../../../src/azure/index.ts';
import type { PagingState, PagingStep } from '../../../src/azure/index.ts';
import { quotaResetMs, readVendorError } from '../../../src/azure/errors.ts';
import { retryAfterMs, vendorSentence } from '../../../src/transport.ts';

/** Feeds pages until the guard stops; `pages` may be endless. */
function run(pages: Iterable<{ itemCount: number; next: string | undefined }>, limits = {}): { last: PagingStep; asked: number } {
  let state: PagingState = startOfPaging;
  let asked = 0;
  for (const page of pages) {
    asked += 1;
    // The state is kept with a scan's cursor, so it has to survive JSON.
    const step = guardPage(JSON.parse(JSON.stringify(state)) as PagingState, page, limits);
    if ('stop' in step) return { last: step, asked };
    state = step.state;
  }
  throw new Error('The guard asked for more pages than there are.');
}

function* endless(itemCount: number): Generator<{ itemCount: number; next: string }> {
  for (let page = 0; ; page += 1) yield { itemCount, next: `https://host/page/${page}` };
}

describe('guardPage', () => {
  test('ends where no next page is named, null-like links included', () => {
    expect(
      run([
        { itemCount: 3, next: 'a' },
        { itemCount: 1, next: undefined },
      ]).last,
    ).toMatchObject({ stop: 'end', state: { pages: 2 } });
    expect(run([{ itemCount: 0, next: '' }]).last).toMatchObject({ stop: 'end' });
  });

  test('five empty pages in a row are the limit, and a full one starts the count again', () => {
    expect(run(endless(0))).toMatchObject({ last: { stop: 'partial', because: expect.stringContaining('empty') }, asked: 5 });
    const broken = [0, 0, 0, 0, 7, 0, 0, 0, 0].map((itemCount, index) => ({ itemCount, next: `p${index}` }));
    expect(run([...broken, { itemCount: 0, next: undefined }]).last).toMatchObject({ stop: 'end' });
  });

  test('too many pages, too many items', () => {
    expect(run(endless(1))).toMatchObject({ last: { stop: 'partial' }, asked: 10_000 });
    expect(run([{ itemCount: 50_001, next: undefined }]).last).toMatchObject({
      stop: 'partial',
      because: expect.stringContaining('50001'),
    });
  });

  test('a link to itself, and a circle, are noticed', () => {
    expect(
      run([
        { itemCount: 1, next: 'a' },
        { itemCount: 1, next: 'a' },
      ]),
    ).toMatchObject({ last: { stop: 'partial' }, asked: 2 });
    const circle = ['a', 'b', 'c', 'a'].map((next) => ({ itemCount: 1, next }));
    expect(run(circle).last).toMatchObject({ stop: 'partial', because: expect.stringContaining('already') });
  });

  test('whatever the service does, the guard stops and its state stays small', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ itemCount: fc.nat(3), next: fc.option(fc.string(), { nil: undefined }) })),
        fc.nat(8),
        (pages, rememberedLinks) => {
          let state: PagingState = startOfPaging;
          for (const page of pages) {
            const step = guardPage(state, page, { rememberedLinks: rememberedLinks + 1, pages: 20 });
            expect(step.state.pages).toBe(state.pages + 1);
            expect(step.state.pages).toBeLessThanOrEqual(20);
            expect(step.state.seenLinks.length).toBeLessThanOrEqual(rememberedLinks + 1);
            if ('stop' in step) return;
            expect(step.next).toBe(page.next);
            state = step.state;
          }
        },
      ),
    );
  });
});

describe('decodeClaims', () => {
  const token = (claims: unknown): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

  test('reads roles, application and tenant', () => {
    expect(
      decodeClaims(
        token({ roles: ['SecurityIncident.Read.All', 7], appid: 'app', tid: 't', idtyp: 'app', exp: 1_756_003_900, scp: 'a b' }),
      ),
    ).toMatchObject({
      roles: ['SecurityIncident.Read.All'],
      scopes: ['a', 'b'],
      applicationId: 'app',
      tenantId: 't',
      tokenType: 'app',
      expiresAtMs: 1_756_003_900_000,
    });
    expect(decodeClaims(token({ azp: 'v2' }))).toMatchObject({ roles: [], scopes: [], applicationId: 'v2' });
  });

  test('never throws', () => {
    expect(decodeClaims('opaque')).toBeUndefined();
    expect(decodeClaims('a.!!!.c')).toBeUndefined();
    expect(decodeClaims(token(null))).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => void decodeClaims(text)));
    fc.assert(fc.property(fc.json(), (text) => void decodeClaims(`a.${Buffer.from(text).toString('base64url')}.c`)));
  });
});

describe('readVendorError', () => {
  test.each([
    ['{"error":{"code":"A","message":"m","details":[{"code":"B"},{"code":"C"}]}}', { code: 'A', message: 'm', detailCodes: ['B', 'C'] }],
    ['{"Error":{"Code":"BadRequest","Message":"x"}}', { code: 'BadRequest', message: 'x', detailCodes: [] }],
    ['{"code":"A","message":"m"}', { code: 'A', message: 'm', detailCodes: [] }],
    ['{"error":"invalid_client","error_description":"d"}', { code: 'invalid_client', message: 'd', detailCodes: [] }],
    ['<html>', { code: undefined, message: '', detailCodes: [] }],
    ['[]', { code: undefined, message: '', detailCodes: [] }],
    ['{"error":{"code":7}}', { code: undefined, message: '', detailCodes: [] }],
  ])('%s', (text, expected) => expect(readVendorError(text)).toEqual(expected));

  test('never throws', () => fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => void readVendorError(text))));
});

test('deniedAction reads action and scope', () => {
  expect(deniedAction("perform action 'Microsoft.Security/assessments/read' over scope '/subscriptions/x' or")).toEqual({
    action: 'Microsoft.Security/assessments/read',
    scope: '/subscriptions/x',
  });
  expect(deniedAction('no')).toBeUndefined();
});

test('readMissingRoles leaves other sentences alone', () => {
  expect(readMissingRoles('Tenant is not licensed.')).toBeUndefined();
});

describe('waits', () => {
  test.each([
    ['00:00:05', 5_000],
    ['01:02:03.5', 3_723_000],
    ['5', undefined],
    [undefined, undefined],
  ])('quota reset %s', (header, expected) => expect(quotaResetMs(header)).toBe(expected));

  test.each([
    ['7', 7_000],
    ['-1', 0],
    ['999999', 3_600_000],
    ['Sun, 22 Nov 2026 10:00:30 GMT', 30_000],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('Retry-After %s', (header, expected) => expect(retryAfterMs(header, Date.UTC(2026, 10, 22, 10, 0, 0))).toBe(expected));
});

describe('vendorSentence', () => {
  test('removes tokens, secrets and control characters, and cuts', () => {
    expect(vendorSentence('a\r\nb\u0000c')).toBe('a b c');
    expect(vendorSentence('got Bearer abcdefghijkl and eyJhbGciOiJub25lIn0.eyJhIjoxfQ.xyz')).toBe('got Bearer [removed] and [removed]');
    expect(vendorSentence('my hunter22 here', ['hunter22'])).toBe('my [removed] here');
    expect(vendorSentence('x'.repeat(400))).toHaveLength(300);
  });

  test('is always one well-formed line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 700 }), (text) => {
        const clean = vendorSentence(text);
        expect(clean.length).toBeLessThanOrEqual(300);
        expect(clean.isWellFormed()).toBe(true);
        expect(clean).not.toMatch(/[\u0000-\u001f]/);
      }),
    );
  });
});

test('splitSubscriptions keeps every subscription, at most 300 a group', () => {
  fc.assert(
    fc.property(fc.array(fc.uuid(), { maxLength: 1_000 }), (ids) => {
      const groups = splitSubscriptions(ids);
      expect(groups.flat()).toEqual(ids);
      expect(groups.every((group) => group.length > 0 && group.length <= 300)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

describe('resolveCloud', () => {
  test('known clouds differ in every endpoint', () => {
    const [publicCloud, government] = [resolveCloud('public'), resolveCloud('usgovernment')];
    expect(publicCloud.armScope).toBe('https://management.azure.com/.default');
    expect(government.armScope).toBe('https://management.usgovcloudapi.net/.default');
    expect(government.authorityHost).toBe('https://login.microsoftonline.us');
  });

  test('a custom cloud derives its scopes and needs https', () => {
    const cloud = resolveCloud({ authorityHost: 'https://localhost:1/', armEndpoint: 'https://localhost:2/' });
    expect(cloud).toMatchObject({
      authorityHost: 'https://localhost:1',
      armScope: 'https://localhost:2/.default',
      instanceDiscovery: false,
    });
    expect(() => resolveCloud({ authorityHost: 'http://localhost', armEndpoint: 'https://x' })).toThrow('authorityHost');
  });
});
