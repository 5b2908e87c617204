import { describe, expect, test } from '@jest/globals';
import { attachmentsAsJson, deletionSentence, isWhole, renderAttachments, renderDeletions } from '../../../src/cli/render/attachments.ts';
import type { AttachmentList, ListedAttachment, ListedDataSource } from '../../../src/ledger/index.ts';
import type { SysId } from '../../../src/model.ts';
import { createTestContext } from './samples.ts';

const { style } = createTestContext().context.output;
const id = (text: string): SysId => text as SysId;
const attachment = (name: string, surplus: boolean): ListedAttachment => ({
  sysId: id(name),
  fileName: `${name}.json`,
  createdOn: '2026-11-20 08:00:00',
  sizeBytes: 12,
  surplus,
});
const source = (changes: Partial<ListedDataSource> = {}): ListedDataSource => ({
  sysId: id('source'),
  name: 'Assessments',
  integration: { sysId: id('integration'), name: 'Assessments', runAs: 'helper' },
  obstacle: null,
  attachments: [attachment('old', true), attachment('new', false)],
  ...changes,
});
const listOf = (dataSources: readonly ListedDataSource[]): AttachmentList => ({
  id: 'ab12cd34ef',
  instanceUrl: 'https://acme.service-now.com',
  foundAt: '2026-11-20T08:00:00.000Z',
  dataSources,
});

describe('the list', () => {
  test('without the plugin, without attachments, without surplus: what that means', () => {
    expect(renderAttachments({ dataSources: [], list: undefined }, style)).toContain('defender-sync doctor');
    expect(renderAttachments({ dataSources: [source({ attachments: [] })], list: undefined }, style)).toBe(
      'No attachments: 1 data source of the plugin, all of them empty. Nothing to delete.',
    );
    const one = { dataSources: [source({ attachments: [attachment('new', false)] })], list: undefined };
    expect(renderAttachments(one, style)).toMatch(/^No surplus: 1 attachment on 1 data source of the plugin\.[^]*Nothing to delete now\.$/);
  });

  test('surplus: what would be deleted, whose it is, and the command', () => {
    const dataSources = [source()];
    expect(renderAttachments({ dataSources, list: listOf(dataSources) }, style)).toBe(
      [
        'Attachments ab12cd34ef  1 surplus attachment of 2 on https://acme.service-now.com',
        '',
        'Assessments  (sys_data_source source)',
        '  integration integration runs as helper',
        '  surplus  2026-11-20 08:00:00 UTC  old  old.json  12 bytes',
        '  stays    2026-11-20 08:00:00 UTC  new  new.json  12 bytes',
        '',
        'Delete the surplus as shown:  defender-sync attachments delete ab12cd34ef',
        'The newest of each data source stays.',
      ].join('\n'),
    );
  });

  test('what may not be deleted now is no surplus', () => {
    const dataSources = [source(), source({ sysId: id('busy'), obstacle: 'a run is in progress' })];
    const text = renderAttachments({ dataSources, list: listOf(dataSources) }, style);
    expect(text).toContain('1 surplus attachment of 4');
    expect(text).toContain('not to be deleted now: a run is in progress');
    expect(deletionSentence(listOf(dataSources))).toBe(
      'Deletes 1 attachment of 1 data source on https://acme.service-now.com, for good: "Assessments" (source). The newest of each stays.',
    );
    expect(attachmentsAsJson({ dataSources, list: undefined })).toMatchObject({ id: null, surplus: 1 });
  });

  test('names of the instance cannot move the cursor', () => {
    const dataSources = [source({ name: 'evil\u001b[2J' })];
    expect(renderAttachments({ dataSources, list: listOf(dataSources) }, style)).not.toContain('\u001b');
  });
});

describe('what was deleted', () => {
  const dataSource = { sysId: id('source'), name: 'Assessments' };

  test('all of it', () => {
    const deletions = [{ dataSource, deleted: [attachment('old', true)], left: [], refused: null }];
    expect(isWhole(deletions)).toBe(true);
    expect(renderDeletions(deletions, style).split('\n')).toEqual([
      '1 attachment deleted.',
      '',
      'Assessments  (sys_data_source source)',
      '  deleted  2026-11-20 08:00:00 UTC  old  old.json',
    ]);
  });

  test('what was refused, and what was left, with the reason and the way on', () => {
    const left = [{ ...attachment('old', true), because: '403' }];
    const deletions = [
      { dataSource, deleted: [], left, refused: null },
      { dataSource, deleted: [], left: [], refused: 'new since it was shown: x' },
    ];
    expect(isWhole(deletions)).toBe(false);
    const text = renderDeletions(deletions, style);
    for (const words of [
      'Nothing was deleted.',
      'old.json: 403',
      'not touched: new since it was shown: x',
      'defender-sync attachments list',
    ])
      expect(text).toContain(words);
  });
});
