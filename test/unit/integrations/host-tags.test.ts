import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAssessment, parseContainer, parseResource } from '../../../src/integrations/assessments.ts';
import { hostTagText, maxHostTags, tagsBody, tagsOf } from '../../../src/integrations/host-tags.ts';
import { parseMetadata } from '../../../src/integrations/metadata.ts';
import type { JsonObject, ObservedRecord } from '../../../src/model.ts';
import { query } from '../../../src/servicenow/index.ts';
import { bodiesOf, contextWith, deriveForCi, instanceKey, keysOf, observed, recordOf } from './harness.ts';

const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const vm = `/subscriptions/${subscription}/resourceGroups/Rg/providers/Microsoft.Compute/virtualMachines/VM1`;
const item = `${instanceKey}|${vm.toLowerCase()}`;
/** Keys are made of parts: what separates them in one is a part's text in another. */
const link = item.replaceAll('|', '%7c');
const test1 = '21300918-b2e3-0346-785f-c77ff57d243b';
const context = contextWith({
  metadata: bodiesOf([observed(parseMetadata({ name: test1, properties: { displayName: 'Encrypt disks' } }))], 'metadata'),
});

const textsOf = (tags: unknown): string[] => tagsOf(tagsBody(tags) as JsonObject).map(hostTagText);
const manyTags = (n: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: n }, (_, index) => [`tag${String(index).padStart(2, '0')}`, 'x']));

describe('tags of a row', () => {
  test.each<[string, unknown, string[], { leftOut?: number; unusable?: number }]>([
    ['none', undefined, [], {}],
    ['null, as Resource Graph says none', null, [], {}],
    ['name and value', { env: 'prod' }, ['env: prod'], {}],
    ['a name alone', { critical: '' }, ['critical'], {}],
    ['in the order of their lower case', { b: '1', A: '2' }, ['A: 2', 'b: 1'], {}],
    ['white space evened out', { ' cost\tcenter ': 'a\r\n b' }, ['cost center: a b'], {}],
    ['one text twice: once, the first in code-point order', { 'Env: prod': '', env: 'prod' }, ['Env: prod'], {}],
    ['a value that is no text', { a: 1, b: null, c: ['x'], d: 'ok' }, ['d: ok'], { unusable: 3 }],
    ['no name', { '  ': 'x' }, [], { unusable: 1 }],
    ['what a query would not find again', { 'a^b': 'x', '=x': 'y', 'javascript:z': '' }, [], { unusable: 3 }],
    ['a list instead of an object', ['env'], [], { unusable: 1 }],
    ['text instead of an object', 'env=prod', [], { unusable: 1 }],
    ['31', manyTags(31), Object.keys(manyTags(31)).map((name) => `${name}: x`), {}],
    ['40: the first 31', manyTags(40), Object.keys(manyTags(31)).map((name) => `${name}: x`), { leftOut: 9 }],
  ])('%s', (_name, tags, texts, { leftOut, unusable }) => {
    expect(textsOf(tags)).toEqual(texts);
    expect(tagsBody(tags)['tagsLeftOut']).toBe(leftOut);
    expect(tagsBody(tags)['tagsUnusable']).toBe(unusable);
  });

  test('texts that are too long stay different, whatever their case', () => {
    const [long, other] = ['x'.repeat(300), `${'x'.repeat(299)}y`];
    expect(hostTagText(['n', long])).toHaveLength(255);
    expect(hostTagText(['n', long])).not.toBe(hostTagText(['n', other]));
    expect(hostTagText(['n', long.toUpperCase()]).toLowerCase()).toBe(hostTagText(['n', long]).toLowerCase());
  });

  test('whatever they are: at most 31, each can be looked up, none twice, nothing is lost uncounted', () => {
    const anyTags = fc.oneof(
      fc.anything(),
      fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.oneof(fc.string(), fc.anything())),
    );
    fc.assert(
      fc.property(anyTags, (tags) => {
        const body = tagsBody(tags);
        const texts = textsOf(tags);
        expect(texts.length).toBeLessThanOrEqual(maxHostTags);
        expect(new Set(texts.map((text) => text.toLowerCase())).size).toBe(texts.length);
        for (const text of texts) {
          expect(text.length).toBeGreaterThan(0);
          expect(text.length).toBeLessThanOrEqual(255);
          expect(() => query().equals('name', text)).not.toThrow();
        }
        const counted = texts.length + Number(body['tagsLeftOut'] ?? 0) + Number(body['tagsUnusable'] ?? 0);
        if (typeof tags === 'object' && tags !== null && !Array.isArray(tags)) {
          const distinct = new Set(Object.keys(tags)).size;
          expect(counted).toBeLessThanOrEqual(distinct);
          expect(counted > 0).toBe(distinct > 0);
        }
      }),
    );
  });

  test('the order of the tags is not content', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string(), { maxKeys: 50 }), (tags) => {
        const turned = Object.fromEntries(Object.entries(tags).reverse());
        expect(tagsBody(turned)).toEqual(tagsBody(tags));
      }),
    );
  });
});

describe('a resource with tags', () => {
  const assessment = (code: string): ObservedRecord =>
    observed(
      parseAssessment({
        id: `${vm}/providers/Microsoft.Security/assessments/${test1}`,
        properties: { resourceDetails: { Source: 'Azure', Id: vm }, status: { code } },
      }),
    );
  const listed = observed(parseResource({ id: vm, location: 'eastus', tags: { Env: 'Prod', owner: 'web' } }));

  test('makes one host tag per text, a list on its item, and one link per tag', () => {
    const { derived } = deriveForCi([assessment('Unhealthy'), listed], context);
    expect(keysOf(derived, 'sn_sec_cmn_host_tag')).toEqual(['env: prod', 'owner: web']);
    expect(recordOf(derived, 'sn_sec_cmn_host_tag', 'env: prod').fields).toEqual({ name: 'Env: Prod' });
    expect(recordOf(derived, 'sn_sec_cmn_src_ci', item).fields['host_tag']).toEqual({
      records: { table: 'sn_sec_cmn_host_tag', keys: ['env: prod', 'owner: web'] },
    });
    expect(keysOf(derived, 'sn_sec_cmn_m2m_src_ci_tag')).toEqual([`${link}|env: prod`, `${link}|owner: web`]);
    expect(recordOf(derived, 'sn_sec_cmn_m2m_src_ci_tag', `${link}|env: prod`).fields).toEqual({
      src_ci: { record: { table: 'sn_sec_cmn_src_ci', key: item } },
      host_tag: { record: { table: 'sn_sec_cmn_host_tag', key: 'env: prod' } },
    });
  });

  test('another spelling of a tag changes neither item nor link', () => {
    const spelled = observed(parseResource({ id: vm, location: 'eastus', tags: { ENV: 'PROD', Owner: 'Web' } }));
    const [one, other] = [listed, spelled].map((row) => deriveForCi([assessment('Unhealthy'), row], context).derived);
    for (const table of ['sn_sec_cmn_src_ci', 'sn_sec_cmn_m2m_src_ci_tag'])
      expect(one?.records.filter((record) => record.table === table)).toEqual(other?.records.filter((record) => record.table === table));
  });

  test('which no list names: its host tags are left alone', () => {
    const { derived } = deriveForCi([assessment('Unhealthy')], context);
    expect(recordOf(derived, 'sn_sec_cmn_src_ci', item).fields).not.toHaveProperty('host_tag');
    expect(keysOf(derived, 'sn_sec_cmn_m2m_src_ci_tag')).toEqual([]);
  });

  test('to which nothing applies makes no new tag', () => {
    const { derived } = deriveForCi([assessment('NotApplicable'), listed], context);
    expect(recordOf(derived, 'sn_sec_cmn_src_ci', item).fields).not.toHaveProperty('host_tag');
    expect(keysOf(derived, 'sn_sec_cmn_host_tag')).toEqual([]);
  });

  test('subscriptions and resource groups have theirs from a list of their own', () => {
    const group = `/subscriptions/${subscription}/resourceGroups/Rg`;
    const row = observed(parseContainer({ id: group, location: 'eastus', tags: { team: 'a' } }));
    expect(row).toMatchObject({ kind: 'resource', group: group.toLowerCase(), body: { tags: [['team', 'a']] } });
    expect(parseContainer({ id: '/providers/Microsoft.Management/managementGroups/x', tags: null }).outcome).not.toBe('quarantined');
  });
});
