import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { joinStandards, noteOnRekeyed } from '../../../src/integrations/alias.ts';
import { naturalKey, observedId } from '../../../src/integrations/natural-key.ts';
import { tableSpecOf, tableSpecs } from '../../../src/integrations/tables.ts';
import { clean, cleanLine, cut, textOfHtml } from '../../../src/integrations/text.ts';
import { serviceNowTimeOf } from '../../../src/integrations/time.ts';
import { integrations } from '../../../src/integrations/index.ts';

describe('text', () => {
  test.each([
    ['plain', 'plain'],
    ['a <b>bold</b> word<br>next', 'a bold word\nnext'],
    ['one&lt;br&gt;two', 'one\ntwo'],
    ['<ul><li>a</li><li>b</li></ul>', '* a\n * b'],
    ['see <a href="https://x.y/z">the page</a>', 'see the page (https://x.y/z)'],
    ['az acr update --name <myRegistry>', 'az acr update --name <myRegistry>'],
    ['<p>az acr update --name <myRegistry></p>', 'az acr update --name <myRegistry>'],
    ['R&D costs', 'R&D costs'],
    ['if a < b and c > d', 'if a < b and c > d'],
    ['<script>alert(1)</script><p>x</p>', '<script>alert(1)</script>\n\nx'],
  ])('%j', (html, text) => {
    expect(textOfHtml(html)).toBe(text);
  });

  test('control characters go, line ends are one kind, nothing else changes', () => {
    expect(clean('a\u0000b\u0007c\r\nd\re\u2028f\tg  \nh\n\n\n\ni ')).toBe('abc\nd\ne\nf\tg\nh\n\ni');
    expect(cleanLine('a\n b')).toBe('a b');
    expect(clean('😀 ünï')).toBe('😀 ünï');
  });

  test('cleaning is done once and for all, and cutting keeps characters whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 30 }), (text, length) => {
        const cleaned = clean(text);
        expect(clean(cleaned)).toBe(cleaned);
        expect(cleaned.isWellFormed()).toBe(true);
        const short = cut(cleaned, length);
        expect(short.length).toBeLessThanOrEqual(length);
        expect(short.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('times', () => {
  test.each([
    ['2021-04-12T09:07:18.6759138Z', '2021-04-12 09:07:18'],
    ['2021-04-12T09:07:18+02:00', '2021-04-12 07:07:18'],
    ['2021-04-12T09:07:18', '2021-04-12 09:07:18'],
    ['2021-04-12', '2021-04-12 00:00:00'],
    ['06/01/2021', '2021-06-01 00:00:00'],
    ['6/1/2021 12:00:00 AM', '2021-06-01 00:00:00'],
    ['0001-01-01T00:00:00Z', undefined],
    ['1/1/0001 12:00:00 AM', undefined],
    ['02/30/2021', undefined],
    ['03/2022', undefined],
    ['soon', undefined],
    ['', undefined],
    [null, undefined],
  ])('%j', (text, time) => {
    expect(serviceNowTimeOf(text)).toBe(time);
  });
});

describe('natural keys', () => {
  test('are lower case, keep their parts apart, and are cut to a hash', () => {
    expect(naturalKey('A', 'b|c')).toBe('a|b%7cc');
    expect(naturalKey('a', 'b')).not.toBe(naturalKey('a|b'));
    const [one, other] = ['x', 'y'].map((end) => naturalKey('k', 'z'.repeat(3_000) + end));
    expect(one).toHaveLength(2_048);
    expect(one).toMatch(/~[0-9a-f]{16}$/);
    expect(one).not.toBe(other);
  });

  test('ids are checked before they are keys', () => {
    expect(observedId('/A/b/')).toEqual({ id: '/a/b' });
    expect(observedId('a^b')).toEqual({ invalid: 'contains ^' });
  });
});

describe('aliases', () => {
  test('join by name, by table, and never by guess', () => {
    const joined = joinStandards(
      ['pci-dss-4', 'microsoft-cloud-security-benchmark', 'iso-27001'],
      [
        { id: 'a', displayName: 'PCI DSS 4' },
        { id: '1f3afdf9-d0c9-4c3d-847f-89da613e70a8', displayName: 'The benchmark' },
        { id: 'b', displayName: 'ISO 27001:2013' },
      ],
    );
    expect([...joined]).toEqual([
      ['a', 'pci-dss-4'],
      ['1f3afdf9-d0c9-4c3d-847f-89da613e70a8', 'microsoft-cloud-security-benchmark'],
    ]);
  });

  test('re-keyed assessments say which other key there is', () => {
    expect(noteOnRekeyed('a4899b81-b689-4e0d-aa29-45983ab8b7fc')).toMatch(/begins with 050ac097/);
    expect(noteOnRekeyed('21300918-b2e3-0346-785f-c77ff57d243b')).toBeUndefined();
  });
});

describe('tables', () => {
  test('keys and orders are consistent', () => {
    expect(new Set(tableSpecs.map(({ name }) => name)).size).toBe(tableSpecs.length);
    for (const { name, columns, naturalKey: key } of tableSpecs) {
      expect({ name, key: key.filter((column) => !Object.hasOwn(columns, column)) }).toEqual({ name, key: [] });
      for (const spec of Object.values(columns)) expect(spec.names.length > 0 || spec.references !== undefined).toBe(true);
    }
  });

  test('a table is written after the tables that it points at', () => {
    for (const integration of integrations) {
      for (const [index, table] of integration.tables.entries()) {
        const targets = Object.values(tableSpecOf(table).columns).flatMap(({ references }) => references ?? []);
        const late = targets.filter((target) => target !== table && integration.tables.indexOf(target) > index);
        expect({ table, late }).toEqual({ table, late: [] });
      }
    }
  });

  test('fields of analysts and of the platform are written by nobody', () => {
    const forbidden = /^(?:state|substate|assign.*|work_notes|close_notes|risk_rating|risk_score|sys_.*)$/;
    const written = tableSpecs
      .filter(({ traffic }) => traffic === 'data')
      .flatMap(({ name, columns }) => Object.values(columns).flatMap(({ names }) => names.map((column) => `${name}.${column}`)));
    expect(written.filter((column) => forbidden.test(column.split('.')[1] ?? ''))).toEqual([]);
  });

  test('a table that nobody specified is a defect', () => {
    expect(() => tableSpecOf('incident')).toThrow('incident is not a table that the engine writes');
  });
});
