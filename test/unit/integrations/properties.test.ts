import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseConnector, parseSubscription } from '../../../src/integrations/accounts.ts';
import { parseAssessment, parseResource } from '../../../src/integrations/assessments.ts';
import { parseCve } from '../../../src/integrations/cve.ts';
import { parseImageAssessment, parseSubAssessment } from '../../../src/integrations/image-row.ts';
import { integrations } from '../../../src/integrations/index.ts';
import { parseMetadata } from '../../../src/integrations/metadata.ts';
import { parsePolicyAssignment, parsePolicyDefinition, parsePolicySet } from '../../../src/integrations/policies.ts';
import { parseRegulatory, parseSecurityStandard } from '../../../src/integrations/standards.ts';
import type { ObservedKind, ObservedRecord, RowOutcome } from '../../../src/model.ts';
import { bodiesOf, checkDerived, contextWith, groupsOf } from './harness.ts';

const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const hex = 'ab'.repeat(32);
const vm = `/subscriptions/${subscription}/resourceGroups/Rg/providers/Microsoft.Compute/virtualMachines/VM1`;
const registry = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/acr`;
const regulatory = `/subscriptions/${subscription}/providers/Microsoft.Security/regulatoryComplianceStandards/PCI`;

/** One good row per parser, with as many fields as the parser reads. */
const samples: readonly (readonly [string, (row: unknown) => RowOutcome, Record<string, unknown>])[] = [
  [
    'policy definition',
    parsePolicyDefinition,
    {
      id: '/providers/Microsoft.Authorization/policyDefinitions/a',
      name: 'a',
      properties: {
        displayName: 'A',
        description: '<b>x</b>',
        policyType: 'BuiltIn',
        metadata: { category: 'Security Center', deprecated: true },
      },
      systemData: { createdAt: '2021-08-31T13:47:50Z', lastModifiedAt: '2021-08-31T13:47:50Z' },
    },
  ],
  [
    'policy set',
    parsePolicySet,
    {
      id: '/providers/Microsoft.Authorization/policySetDefinitions/s',
      properties: {
        displayName: 'S',
        policyDefinitions: [{ policyDefinitionId: '/providers/Microsoft.Authorization/policyDefinitions/a' }],
      },
    },
  ],
  [
    'policy assignment',
    parsePolicyAssignment,
    {
      id: `/subscriptions/${subscription}/providers/Microsoft.Authorization/policyAssignments/x`,
      properties: { policyDefinitionId: '/providers/p/s' },
    },
  ],
  [
    'metadata',
    parseMetadata,
    {
      id: '/providers/Microsoft.Security/assessmentMetadata/k',
      name: 'K',
      properties: {
        displayName: 'Encrypt disks',
        description: 'x',
        remediationDescription: 'y<br>z',
        policyDefinitionId: '/providers/Microsoft.Authorization/policyDefinitions/a',
        categories: ['Compute'],
        severity: 'High',
        threats: ['dataExfiltration'],
        publishDates: { GA: '06/01/2021' },
        assessmentType: 'BuiltIn',
      },
    },
  ],
  ['regulatory standard', parseRegulatory, { id: regulatory, name: 'PCI', properties: { state: 'Failed' } }],
  [
    'regulatory control',
    parseRegulatory,
    { id: `${regulatory}/regulatoryComplianceControls/1`, name: '1', properties: { description: 'c' } },
  ],
  [
    'regulatory assessment',
    parseRegulatory,
    { id: `${regulatory}/regulatoryComplianceControls/1/regulatoryComplianceAssessments/k`, name: 'k', properties: { description: 'a' } },
  ],
  [
    'security standard',
    parseSecurityStandard,
    {
      id: `/subscriptions/${subscription}/providers/Microsoft.Security/securityStandards/g`,
      properties: { displayName: 'G', assessments: [{ assessmentKey: 'k' }] },
    },
  ],
  ['subscription', parseSubscription, { id: `/subscriptions/${subscription}`, subscriptionId: subscription, displayName: 'Production' }],
  [
    'connector',
    parseConnector,
    {
      id: `/subscriptions/${subscription}/providers/Microsoft.Security/securityConnectors/c`,
      name: 'c',
      properties: { environmentName: 'AWS', hierarchyIdentifier: '123456789012' },
    },
  ],
  ['resource', parseResource, { id: vm, location: 'eastus' }],
  [
    'assessment',
    parseAssessment,
    {
      id: `${vm}/providers/Microsoft.Security/assessments/K`,
      name: 'K',
      properties: {
        displayName: 'Encrypt disks',
        status: { code: 'Unhealthy', cause: 'c', description: 'd', firstEvaluationDate: '2021-04-12T09:07:18Z' },
        resourceDetails: { Source: 'Azure', Id: vm },
        additionalData: { a: 'b', nested: { y: 1, x: 2 } },
        risk: { level: 'High', riskFactors: ['x'] },
      },
    },
  ],
  [
    'image assessment',
    parseImageAssessment,
    {
      id: `${registry}/repositories/a/b/images/sha256:${hex}/providers/microsoft.security/assessments/i`,
      properties: {
        status: { code: 'Unhealthy' },
        resourceDetails: { Id: `${registry}/repositories/a/b/images/sha256:${hex}`, Source: 'Azure', ResourceType: '.containerimage' },
        additionalData: { SoftwareName: 'p', DetectedSoftwareVersions: '1', CvesDetails: '[{"CveId":"CVE-2024-6345","Severity":"High"}]' },
      },
    },
  ],
  [
    'sub-assessment',
    parseSubAssessment,
    {
      id: `${registry}/providers/Microsoft.Security/assessments/a/subassessments/s`,
      properties: {
        id: 'CVE-2022-42969',
        status: { code: 'Unhealthy' },
        additionalData: {
          assessedResourceType: 'AzureContainerRegistryVulnerability',
          artifactDetails: { repositoryName: 'a/b', registryHost: 'acr.azurecr.io', digest: `sha256:${hex}`, tags: ['v1'] },
          softwareDetails: { packageName: 'py', version: '1', evidence: ['/x'] },
        },
      },
    },
  ],
  [
    'CVE',
    parseCve,
    {
      id: '/providers/microsoft.security/cvedetails/cve-2024-6179',
      name: 'cve-2024-6179',
      properties: { cveId: 'CVE-2024-6179', cvss: { '3.0': { base: 6 } } },
    },
  ],
];

/** Everything that must hold for an outcome, whatever the row was. */
function checkOutcome(outcome: RowOutcome): void {
  if (outcome.outcome !== 'observed') {
    expect(outcome.because).not.toBe('');
    expect(outcome.because.length).toBeLessThan(500);
    expect(outcome.because.isWellFormed()).toBe(true);
    if (outcome.outcome === 'quarantined' && outcome.id !== undefined) expect(outcome.id.length).toBeLessThanOrEqual(300);
    return;
  }
  const { record } = outcome;
  expect(record.id).toBe(record.id.toLowerCase());
  expect(record.id).not.toMatch(/[\^=\u0000-\u001f]/);
  expect(record.id.length).toBeGreaterThan(0);
  expect(record.id.length).toBeLessThanOrEqual(2_048);
  expect(record.group.length).toBeLessThanOrEqual(2_048);
  const stored = JSON.stringify(record);
  expect(JSON.parse(stored)).toEqual(record);
  // What PostgreSQL's jsonb refuses: NUL and lone surrogates, which JSON writes as escapes.
  expect(stored).not.toMatch(/\\u0000|\\ud[89a-f]/i);
  expect(stored).not.toContain('undefined');
}

/** Derives what was observed, alone and with everything else there is, and holds the records to their promises. */
function checkDerivations(records: readonly ObservedRecord[]): void {
  const kinds = new Set(records.map(({ kind }) => kind));
  const context = contextWith(Object.fromEntries([...kinds].map((kind) => [kind, bodiesOf(records, kind)])));
  for (const integration of integrations) {
    for (const group of groupsOf(records.filter(({ kind }) => integration.derivesFrom.includes(kind)))) {
      checkDerived(integration.name, integration.derive(group, context));
      const ciKey = integration.ciOfGroup?.(group.group);
      if (integration.deriveForCi && ciKey !== undefined) {
        const ci = { key: ciKey, sysId: 'f'.repeat(32), match: 'lookup-rule' } as Parameters<typeof integration.deriveForCi>[0];
        checkDerived(integration.name, integration.deriveForCi(ci, [group], context));
      }
    }
  }
}

const nasty = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    true,
    0,
    -1,
    1e308,
    '',
    ' ',
    '\u0000',
    '\ud800',
    'a^b',
    'a=b',
    'a\nb',
    '\u202e',
    '😀',
    'ß',
    'İ',
    '0001-01-01T00:00:00Z',
    '13/45/9999',
  ),
  fc.constantFrom<unknown>(
    [],
    {},
    [null],
    [[]],
    { a: null },
    { __proto__: null },
    'constructor',
    '__proto__',
    'Apocalyptic',
    '/',
    '//',
    '%5e',
    '{}',
    '[{',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** All places of a row, as paths. */
function placesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [...(path.length === 0 ? [] : [path]), ...Object.entries(value).flatMap(([key, child]) => placesOf(child, [...path, key]))];
}

function mutated(row: unknown, path: readonly string[], change: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change;
  const copy = (Array.isArray(row) ? [...(row as unknown[])] : { ...(row as object) }) as Record<string, unknown>;
  copy[key] = mutated(copy[key], rest, change);
  return copy;
}

/** The same content, with fields in another order and another case. */
function respelled(value: unknown, upper: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => respelled(item, upper));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, child]): [string, unknown] => {
        // Names inside additional data are content, not structure.
        const kept = key.toLowerCase() === 'additionaldata' && typeof child === 'object' && child !== null && 'nested' in child;
        const first = upper ? key.charAt(0).toUpperCase() : key.charAt(0).toLowerCase();
        return [first + key.slice(1), kept ? child : respelled(child, upper)];
      }),
  );
}

describe.each(samples)('%s', (_name, parse, sample) => {
  test('a good row is observed, and parsing it again gives the same', () => {
    const first = parse(sample);
    expect(first).toMatchObject({ outcome: 'observed' });
    expect(parse(structuredClone(sample))).toEqual(first);
    checkOutcome(first);
  });

  test.each([true, false])('order and case of field names are not content (PascalCase: %s)', (upper) => {
    expect(parse(respelled(sample, upper))).toEqual(parse(sample));
  });

  test('any JSON is observed, excluded or quarantined with a reason', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (row) => checkOutcome(parse(row))),
      { numRuns: 60 },
    );
    fc.assert(
      fc.property(fc.anything(), (row) => checkOutcome(parse(row))),
      { numRuns: 60 },
    );
  });

  test('a good row with one or two wrong places never throws, and what it becomes keeps its promises', () => {
    const place = fc.constantFrom(...placesOf(sample));
    fc.assert(
      fc.property(fc.array(fc.tuple(place, nasty), { minLength: 1, maxLength: 2 }), (changes) => {
        let row: unknown = sample;
        for (const [path, change] of changes) row = mutated(row, path.slice(0, placesLeft(row, path)), change);
        const outcome = parse(row);
        checkOutcome(outcome);
        if (outcome.outcome === 'observed') checkDerivations([outcome.record]);
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    ['10 MB', 'x'.repeat(10 * 1_048_576), /is longer than 1 MB$/],
    ['NUL', 'a\u0000b', /contains NUL$/],
    ['half a character', 'a\ud800b', /contains half of a surrogate pair$/],
  ])('a text with %s anywhere quarantines the row, not the run', (_what, text, because) => {
    for (const path of placesOf(sample).filter((one) => typeof at(sample, one) === 'string')) {
      expect(parse(mutated(sample, path, text))).toMatchObject({ outcome: 'quarantined', because: expect.stringMatching(because) });
    }
  });

  test('many texts that are too large together, and depth without end', () => {
    const large = { ...sample, tags: Array.from({ length: 5 }, () => 'x'.repeat(1_000_000)) };
    expect(parse(large)).toMatchObject({ outcome: 'quarantined', because: 'the row is larger than 4 MB' });
    let deep: unknown = 'x';
    for (let level = 0; level < 20_000; level += 1) deep = [deep];
    expect(parse({ ...sample, tags: deep })).toMatchObject({ outcome: 'quarantined', because: 'the row is nested deeper than 64 levels' });
  });
});

/** How much of a path is still there after an earlier change. */
function placesLeft(row: unknown, path: readonly string[]): number {
  let value = row;
  for (const [index, key] of path.entries()) {
    if (typeof value !== 'object' || value === null) return index;
    value = (value as Record<string, unknown>)[key];
  }
  return path.length;
}

function at(row: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], row);
}

test('all good rows together derive records whose references are derived too', () => {
  const records = samples
    .map(([, parse, sample]) => parse(sample))
    .flatMap((outcome) => (outcome.outcome === 'observed' ? [outcome.record] : []));
  checkDerivations(records);
  const context = contextWith(
    Object.fromEntries([...new Set(records.map(({ kind }) => kind))].map((kind: ObservedKind) => [kind, bodiesOf(records, kind)])),
  );
  const known = new Set<string>(['sn_sec_int_impl\ndefender-sync/prod']);
  const referenced = new Set<string>();
  for (const integration of integrations) {
    for (const group of groupsOf(records.filter(({ kind }) => integration.derivesFrom.includes(kind)))) {
      const ciKey = integration.ciOfGroup?.(group.group);
      const derived = [
        integration.derive(group, context),
        ...(integration.deriveForCi && ciKey !== undefined
          ? [integration.deriveForCi({ key: ciKey, sysId: 'f'.repeat(32), match: 'lookup-rule' } as never, [group], context)]
          : []),
      ];
      for (const record of derived.flatMap((one) => one.records)) {
        known.add(`${record.table}\n${record.key}`);
        for (const value of Object.values(record.fields)) {
          if (typeof value === 'object' && value !== null && 'record' in value)
            referenced.add(`${value.record.table}\n${value.record.key}`);
          if (typeof value === 'object' && value !== null && 'records' in value)
            for (const key of value.records.keys) referenced.add(`${value.records.table}\n${key}`);
        }
      }
    }
  }
  expect([...referenced].filter((reference) => !known.has(reference))).toEqual([]);
  expect(referenced.size).toBeGreaterThan(10);
});
