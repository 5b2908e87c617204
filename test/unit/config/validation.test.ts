import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readConfiguration } from '../../../src/config/index.ts';

const good = `temporal:
  namespace: security
serviceNow:
  url: https://acme.service-now.com
  auth: { type: client-credentials, clientId: abc, clientSecret: { env: SN_SECRET } }
deployments:
  - name: production
    azure:
      tenantId: 11111111-1111-1111-1111-111111111111
      clientId: 22222222-2222-2222-2222-222222222222
      credential: { clientSecret: { env: AZURE_SECRET } }
    scope: { subscriptions: [33333333-3333-3333-3333-333333333333] }
    schedule: { cron: "30 2 * * *", timeZone: Europe/Berlin }
`;
const variables = { SN_SECRET: 'x', AZURE_SECRET: 'y', EMPTY: '', SECRET_ID: '44444444-4444-4444-4444-444444444444' };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'config-'));
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'empty'), '\n');
  writeFileSync(join(dir, 'ca.pem'), 'certificate');
});
afterAll(() => rmSync(dir, { recursive: true }));

function problemsOf(text: string, needSecrets = true): string[] {
  const result = readConfiguration(text, join(dir, 'defender-sync.yaml'), { variables, needSecrets });
  if ('configuration' in result) return [];
  return result.problems.map(({ line, column, text: problem }) => `${line}:${column} ${problem.replaceAll(dir, '<dir>')}`);
}

test('the good file is good', () => {
  expect(problemsOf(good)).toEqual([]);
});

const secretFix = 'put it into an environment variable and write { env: NAME }, or into a file and write { file: path }';
const relativeHint = '(relative paths start at the folder of this file)';

describe('a bad file says where, what and the fix', () => {
  test.each<[string, string | RegExp, string, string[]]>([
    ['unknown key at the top', 'temporal:', 'temproal:', ['1:1 temproal is not a known key → did you mean temporal?']],
    [
      'unknown key without a near one',
      '  namespace:',
      '  zebra:',
      ['2:3 temporal.zebra is not a known key → remove it; known here: address, namespace, taskQueue, tls, apiKey, uiUrl'],
    ],
    [
      'snake case',
      'clientId: abc',
      'client_id: abc',
      [
        '5:3 serviceNow.auth.clientId is missing → write the client id of the OAuth registry record, for example 0123456789abcdef0123456789abcdef',
        '5:37 serviceNow.auth.client_id is not a known key → did you mean clientId?',
      ],
    ],
    [
      'key of another type of sign-in',
      'clientId: abc',
      'clientId: abc, userName: u',
      ['5:52 serviceNow.auth.userName is not a known key → remove it; known here: type, clientId, clientSecret'],
    ],
    [
      'plain http',
      'https://acme',
      'http://acme',
      [
        '4:3 serviceNow.url is not the https address of a host → write the address of the instance without path, user or query, for example https://acme.service-now.com',
      ],
    ],
    [
      'address with a path',
      'service-now.com',
      'service-now.com/now',
      [
        '4:3 serviceNow.url is not the https address of a host → write the address of the instance without path, user or query, for example https://acme.service-now.com',
      ],
    ],
    [
      'number for text',
      'namespace: security',
      'namespace: 12',
      ['2:3 temporal.namespace must be a namespace, not a number → put it in quotes'],
    ],
    [
      'unknown sign-in type',
      'client-credentials',
      'oauth',
      ['5:11 serviceNow.auth.type is not known → write one of: client-credentials, password, basic'],
    ],
    [
      'no sign-in type',
      'type: client-credentials, ',
      '',
      ['5:3 serviceNow.auth.type is missing → write one of: client-credentials, password, basic'],
    ],
    [
      'secret written out',
      '{ env: SN_SECRET }',
      'hunter2',
      [
        `5:52 serviceNow.auth.clientSecret is written out, and a secret never stands in this file → ${secretFix}; then replace the secret, because this file may have been copied`,
      ],
    ],
    [
      'two sources of one secret',
      '{ env: SN_SECRET }',
      '{ env: SN_SECRET, file: ca.pem }',
      [`5:52 serviceNow.auth.clientSecret must name exactly one source → ${secretFix}`],
    ],
    [
      'variable not set',
      'SN_SECRET',
      'NOT_SET',
      [
        '5:68 serviceNow.auth.clientSecret.env names the environment variable NOT_SET, which is not set → set it for the process that runs defender-sync, or use { file: path }',
      ],
    ],
    [
      'variable empty',
      'SN_SECRET',
      'EMPTY',
      [
        '5:68 serviceNow.auth.clientSecret.env names the environment variable EMPTY, which is empty → set it for the process that runs defender-sync, or use { file: path }',
      ],
    ],
    [
      'secret as variable name',
      'env: SN_SECRET',
      'env: "s3cr3t!"',
      [
        '5:68 serviceNow.auth.clientSecret.env is not the name of an environment variable → letters, digits and _ only; the secret itself never stands here',
      ],
    ],
    [
      'secret file missing',
      'env: SN_SECRET',
      'file: no-such-file',
      [
        `5:68 serviceNow.auth.clientSecret.file names <dir>/no-such-file, which does not exist → create it or correct the path ${relativeHint}`,
      ],
    ],
    [
      'secret file empty',
      'env: SN_SECRET',
      'file: empty',
      ['5:68 serviceNow.auth.clientSecret.file names the file empty, which is empty → write the secret into it'],
    ],
    [
      'secret file is a folder',
      'env: SN_SECRET',
      'file: folder',
      ['5:68 serviceNow.auth.clientSecret.file names <dir>/folder, which is not a file → name the file itself'],
    ],
    [
      'id of an Entra secret instead of its value',
      'AZURE_SECRET',
      'SECRET_ID',
      [
        '11:37 deployments[0].azure.credential.clientSecret.env leads to a GUID, which is the id of a client secret → store the secret’s Value instead of its Secret ID; if it is no longer shown, create a new secret',
      ],
    ],
    [
      'certificate authority missing',
      'namespace: security',
      'namespace: security\n  address: t:7233\n  tls: { caFile: ca }',
      [`4:10 temporal.tls.caFile names <dir>/ca, which does not exist → create it or correct the path ${relativeHint}`],
    ],
    [
      'half a client certificate',
      'namespace: security',
      'namespace: security\n  address: t:7233\n  tls: { keyFile: ca.pem }',
      ['4:3 temporal.tls has only half of a client certificate → give both certificateFile and keyFile'],
    ],
    [
      'TLS without a server',
      'namespace: security',
      'tls: true',
      ['2:3 temporal.tls needs an address: the local server has neither TLS nor keys → add address: host:port, or remove it'],
    ],
    [
      'address as a URL',
      'namespace: security',
      'address: https://temporal:7233',
      ['2:3 temporal.address is not host:port → write it without https://, for example temporal.example.com:7233'],
    ],
    [
      'tenant that is no GUID',
      '11111111-1111-1111-1111-111111111111',
      'contoso',
      [
        '9:7 deployments[0].azure.tenantId is not a GUID → copy the directory (tenant) id from the Azure portal; it looks like 00000000-0000-0000-0000-000000000000',
      ],
    ],
    [
      'no client id',
      /\n {6}clientId.*/,
      '',
      ['8:5 deployments[0].azure.clientId is missing → write the application (client) id of the app registration'],
    ],
    [
      'Azure China',
      'tenantId',
      'cloud: china\n      tenantId',
      ['9:7 deployments[0].azure.cloud is Azure China, where Defender for Cloud ended on 18 August 2026 → remove this deployment'],
    ],
    [
      'custom cloud without endpoints',
      'tenantId',
      'cloud: custom\n      authorityHost: https://login.example\n      resourceManager: https://arm.example\n      tenantId',
      ['8:5 deployments[0].azure has cloud: custom but no graph → add graph: https://…'],
    ],
    [
      'endpoint of a known cloud',
      'tenantId',
      'graph: https://graph.example\n      tenantId',
      ['9:7 deployments[0].azure.graph is only for cloud: custom → remove it, or set cloud: custom'],
    ],
    [
      'two credentials',
      'credential: {',
      'credential: { managedIdentity: true,',
      [
        '11:7 deployments[0].azure.credential must name exactly one credential, not 2 → keep one of: clientSecret, certificateFile, federatedTokenFile, managedIdentity',
      ],
    ],
    [
      'two kinds of scope',
      'scope: {',
      'scope: { managementGroups: [root],',
      ['12:5 deployments[0].scope must name either subscriptions or managementGroups → keep one of the two lists'],
    ],
    [
      'a subscription twice',
      'scope: { subscriptions: [',
      'scope: { subscriptions: [33333333-3333-3333-3333-333333333333, ',
      ['12:68 deployments[0].scope.subscriptions[1] is listed twice (33333333-3333-3333-3333-333333333333) → remove one of the two'],
    ],
    [
      'an empty scope',
      '[33333333-3333-3333-3333-333333333333]',
      '[]',
      ['12:14 deployments[0].scope.subscriptions is empty → name at least one, for example [00000000-0000-0000-0000-000000000000]'],
    ],
    [
      'minute 61',
      '30 2',
      '61 2',
      ['13:17 deployments[0].schedule.cron has "61" as minute → use 0 to 59, *, lists (1,15), ranges (1-5) or steps (*/2)'],
    ],
    [
      'four cron fields',
      '30 2 * * *',
      '30 2 * *',
      [
        '13:17 deployments[0].schedule.cron has 4 fields → write five: minute hour day month weekday, for example "30 2 * * *" for 02:30 every day',
      ],
    ],
    [
      'time zone in the cron expression',
      '30 2',
      'CRON_TZ=UTC 30 2',
      ['13:17 deployments[0].schedule.cron names a time zone → write the zone as timeZone, and the cron expression without it'],
    ],
    [
      'unknown time zone',
      'Europe/Berlin',
      'Europe/Berlni',
      ['13:37 deployments[0].schedule.timeZone is not a time zone → write its IANA name, for example Europe/Berlin or UTC'],
    ],
    [
      'fraction of a minute',
      'timeZone:',
      'jitterMinutes: 1.5, timeZone:',
      ['13:37 deployments[0].schedule.jitterMinutes must be a whole number from 0 to 720 → choose a number of minutes in that range'],
    ],
    [
      'too many requests',
      'url: https',
      'concurrentRequests: 400\n  url: https',
      ['4:3 serviceNow.concurrentRequests must be a whole number from 1 to 64 → choose a number of requests in that range'],
    ],
    [
      'yes for true',
      'schedule: {',
      'incidents: "yes"\n    schedule: {',
      ['13:5 deployments[0].incidents must be true or false, not text → write true or false without quotes'],
    ],
    [
      'name with a space',
      'name: production',
      'name: Production East',
      ['7:5 deployments[0].name is not a usable name → use lower-case letters, digits and -, beginning with a letter or digit'],
    ],
    ['duplicate YAML key', 'namespace: security', 'namespace: a\n  namespace: b', ['3:3 map keys must be unique → correct the YAML here']],
    ['no deployments', /deployments:[^]*/, '', ['1:1 deployments is missing → add at least one, for example - name: production']],
    ['an empty file', /[^]*/, '', ['1:1 the file is empty → copy examples/defender-sync.yaml and fill it in']],
  ])('%s', (_name, from, to, expected) => {
    expect(good).toMatch(from instanceof RegExp ? from : new RegExp(from.replaceAll(/[[\](){}*?.\\|^$+]/g, '\\$&')));
    expect(problemsOf(good.replace(from, to))).toEqual(expected);
  });

  test('two deployments of one name', () => {
    const second = good.slice(good.indexOf('  - name'));
    expect(problemsOf(good + second)).toEqual([
      '14:5 deployments[1].name is "production", the name of deployments[0] → give each deployment a name of its own',
    ]);
  });

  test('everything at once, in the order of the file', () => {
    const bad = good
      .replace('namespace', 'nmaespace')
      .replace('SN_SECRET', 'NOT_SET')
      .replace('Europe/Berlin', 'Mars/Olympus')
      .replace('https', 'ftp');
    expect(problemsOf(bad).map((problem) => problem.split(' ', 2).join(' '))).toEqual([
      '2:3 temporal.nmaespace',
      '4:3 serviceNow.url',
      '5:68 serviceNow.auth.clientSecret.env',
      '13:37 deployments[0].schedule.timeZone',
    ]);
  });

  test('a file that may not be read', () => {
    const unreadable = join(dir, 'unreadable');
    writeFileSync(unreadable, 'secret');
    chmodSync(unreadable, 0);
    const expected = [
      '5:68 serviceNow.auth.clientSecret.file names <dir>/unreadable, which cannot be read (EACCES) → let the user that runs defender-sync read it',
    ];
    // Root reads everything.
    expect(problemsOf(good.replace('env: SN_SECRET', 'file: unreadable'))).toEqual(process.getuid?.() === 0 ? [] : expected);
  });

  test('a secret is never repeated', () => {
    const canary = 'canary-4711';
    for (const place of ['{ env: SN_SECRET }', '{ env: AZURE_SECRET }']) {
      expect(problemsOf(good.replace(place, canary)).join('\n')).not.toContain(canary);
      for (const mistake of [`{ value: ${canary} }`, `{ env: ${canary} }`, `{ env: ${canary.replace('-', '')} }`, `[${canary}]`]) {
        expect(problemsOf(good.replace(place, mistake)).join('\n')).not.toMatch(/canary-?4711/);
      }
    }
  });

  test('commands that only read stored things need no secrets', () => {
    expect(problemsOf(good.replace('SN_SECRET', 'NOT_SET'), false)).toEqual([]);
  });
});
