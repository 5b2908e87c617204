import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DictionaryColumn } from '../../../src/servicenow/index.ts';
import { notKept } from '../../../src/servicenow/stored-values.ts';

function column(type: string, maxLength?: number): DictionaryColumn {
  return { name: 'c', type, maxLength, reference: undefined, readable: true, readOnly: false, choices: undefined };
}

describe('a written value is kept when it comes back', () => {
  test.each<[string, DictionaryColumn, string, unknown]>([
    ['as it was sent', column('string', 40), 'text', 'text'],
    ['trimmed, with one kind of line break', column('string', 40), 'a\r\nb ', 'a\nb'],
    ['cut where the column ends', column('string', 10), 'a longer text', 'a longer t'],
    ['cut where the column ends, which counts bytes', column('string', 10), 'Schlüssel ß', 'Schlüsse'],
    ['cut, where nobody says how long the column is', column('string'), 'a longer text', 'a longer'],
    ['as the other spelling of a boolean', column('boolean'), 'true', '1'],
    ['as the same number', column('decimal'), '9.8', '9.80'],
    ['rounded to the places that the column has', column('decimal'), '0.97532', '0.98'],
    ['as a date without its time', column('glide_date'), '2026-11-22 10:00:00', '2026-11-22'],
    ['as a reference in another case', column('reference'), 'ABCDEF', { value: 'abcdef', link: 'https://x/abcdef' }],
    ['emptied', column('string', 40), '', ''],
    ['hidden by a read ACL: no evidence', column('string', 40), 'text', undefined],
  ])('%s', (_, definition, sent, back) => {
    expect(notKept(back === undefined ? {} : { c: back }, { c: sent }, { c: definition })).toEqual([]);
  });
});

describe('it is not kept when it comes back', () => {
  test.each<[string, DictionaryColumn, string, unknown, string]>([
    ['empty', column('string', 40), 'text', '', 'sent "text", came back empty'],
    ['as the old value', column('string', 40), 'new', 'old', 'sent "new", came back "old"'],
    ['as an old value that is a beginning of the new one', column('string', 40), 'text and more', 'text', 'came back "text"'],
    ['as another reference', column('reference'), 'abc', { value: 'def' }, 'sent "abc", came back "def"'],
    ['as another choice', column('choice', 40), '2', '1', 'sent "2", came back "1"'],
    ['as another version, although the number is the same', column('string', 40), '1.10', '1.1', 'came back "1.1"'],
    ['as another number', column('decimal'), '9.8', '7.5', 'came back "7.5"'],
    ['as another time', column('glide_date_time'), '2026-11-22 10:00:00', '2026-11-22 11:00:00', 'came back "2026-11-22 11:00:00"'],
    ['as the other boolean', column('boolean'), 'true', 'false', 'came back "false"'],
    ['still filled when it was emptied', column('string', 40), '', 'old', 'sent empty, came back "old"'],
  ])('%s', (_, definition, sent, back, evidence) => {
    expect(notKept({ c: back }, { c: sent }, { c: definition })).toMatchObject([
      { column: 'c', evidence: expect.stringContaining(evidence) },
    ]);
  });

  test('long texts are not quoted', () => {
    expect(notKept({ c: '' }, { c: 'x'.repeat(500) }, {})).toEqual([
      { column: 'c', evidence: 'sent 500 characters, came back empty', found: 'empty' },
    ]);
  });
});

test('what is stored unchanged is kept, whatever it is; what is blanked is not', () => {
  const types = fc.constantFrom('string', 'integer', 'decimal', 'boolean', 'reference', 'glide_date_time', 'choice', '');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), types, (value, type) => {
      expect(notKept({ c: value }, { c: value }, { c: column(type, 40) })).toEqual([]);
      expect(notKept({ c: '' }, { c: value }, { c: column(type, 40) })).toHaveLength(value.trim() === '' ? 0 : 1);
    }),
  );
});
