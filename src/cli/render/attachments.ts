/** Attachments on the plugin's data sources, and what was deleted of them, for people and as JSON. */
import type { Deletion, FoundAttachments } from '../../../activities/attachments.ts';
import type { AttachmentList, ListedAttachment, ListedDataSource } from '../../ledger/index.ts';
import type { Style } from '../output.ts';
import { counted, plainText } from '../table.ts';

/** Of one data source; the JSON has all. */
const shownAttachments = 20;

export function renderAttachments({ dataSources, list }: FoundAttachments, style: Style): string {
  if (dataSources.length === 0)
    return "ServiceNow's own plugin has no integration for Defender for Cloud on this instance, so there is no data source to look at. Nothing to do: defender-sync doctor shows what else there is.";
  const total = dataSources.reduce((sum, { attachments }) => sum + attachments.length, 0);
  if (list === undefined && total === 0)
    return `No attachments: ${counted(dataSources.length, 'data source')} of the plugin, all of them empty. Nothing to delete.`;
  return [
    list === undefined
      ? `No surplus: ${counted(total, 'attachment')} on ${counted(dataSources.length, 'data source')} of the plugin.`
      : `${style.bold(`Attachments ${list.id}`)}  ${counted(surplusOf(dataSources), 'surplus attachment')} of ${total} on ${list.instanceUrl}`,
    ...dataSources.filter(({ attachments }) => attachments.length > 0).flatMap((source) => ['', ...sourceLines(source, style)]),
    '',
    ...(list === undefined
      ? ['Nothing to delete now.']
      : [`Delete the surplus as shown:  defender-sync attachments delete ${list.id}`, 'The newest of each data source stays.']),
  ].join('\n');
}

function sourceLines({ sysId, name, integration, obstacle, attachments }: ListedDataSource, style: Style): string[] {
  const more = attachments.length - shownAttachments;
  return [
    style.bold(plainText(`${name}  (sys_data_source ${sysId})`)),
    `  integration ${integration.sysId} runs as ${integration.runAs === '' ? 'nobody' : plainText(integration.runAs)}`,
    ...attachments.slice(0, shownAttachments).map((attachment) => attachmentLine(attachment, obstacle === null, style)),
    ...(more > 0 ? [`  … and ${counted(more, 'more attachment')}; --json shows all of them`] : []),
    ...(obstacle === null ? [] : [`  ${style.warning(`not to be deleted now: ${obstacle}`)}`]),
  ];
}

function attachmentLine({ sysId, fileName, createdOn, sizeBytes, surplus }: ListedAttachment, mayBeDeleted: boolean, style: Style): string {
  const what = !mayBeDeleted ? 'stays  ' : surplus ? style.warning('surplus') : 'stays  ';
  const size = sizeBytes === null ? '' : `  ${sizeBytes} bytes`;
  return `  ${what}  ${createdOn} UTC  ${sysId}  ${plainText(fileName)}${size}`;
}

function surplusOf(dataSources: readonly ListedDataSource[]): number {
  return dataSources
    .filter(({ obstacle }) => obstacle === null)
    .reduce((sum, { attachments }) => sum + attachments.filter(({ surplus }) => surplus).length, 0);
}

/** What a deletion would do, in one sentence. */
export function deletionSentence({ dataSources, instanceUrl }: AttachmentList): string {
  const sources = dataSources.filter(({ obstacle, attachments }) => obstacle === null && attachments.some(({ surplus }) => surplus));
  return `Deletes ${counted(surplusOf(dataSources), 'attachment')} of ${counted(sources.length, 'data source')} on ${instanceUrl}, for good: ${sources
    .map(({ name, sysId }) => plainText(`"${name}" (${sysId})`))
    .join(', ')}. The newest of each stays.`;
}

export function attachmentsAsJson({ dataSources, list }: FoundAttachments): object {
  return {
    id: list?.id ?? null,
    foundAt: list?.foundAt ?? null,
    instance: list?.instanceUrl ?? null,
    surplus: surplusOf(dataSources),
    dataSources,
  };
}

export function renderDeletions(deletions: readonly Deletion[], style: Style): string {
  const deleted = deletions.reduce((sum, one) => sum + one.deleted.length, 0);
  return [
    deleted === 0 ? style.warning('Nothing was deleted.') : style.good(`${counted(deleted, 'attachment')} deleted.`),
    ...deletions.flatMap(({ dataSource, deleted: gone, left, refused }) => [
      '',
      style.bold(plainText(`${dataSource.name}  (sys_data_source ${dataSource.sysId})`)),
      ...(refused === null ? [] : [`  ${style.warning(`not touched: ${plainText(refused)}`)}`]),
      ...gone.map(({ sysId, fileName, createdOn }) => `  deleted  ${createdOn} UTC  ${sysId}  ${plainText(fileName)}`),
      ...left.map(({ sysId, fileName, because }) => `  ${style.bad('left')}     ${sysId}  ${plainText(fileName)}: ${plainText(because)}`),
    ]),
    ...(isWhole(deletions) ? [] : ['', 'List what is there now: defender-sync attachments list']),
  ].join('\n');
}

/** Everything that was shown is deleted. */
export function isWhole(deletions: readonly Deletion[]): boolean {
  return deletions.every(({ left, refused }) => left.length === 0 && refused === null);
}
