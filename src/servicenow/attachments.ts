/** Attachments of records, to see whether they pile up on data sources (servicenow.md §6), and to delete single ones on command. */
import type { SysId } from '../model.ts';
import type { AggregateApi } from './aggregate.ts';
import type { Send } from './http.ts';
import { query, splitByBytes } from './query.ts';
import { valueOf, type TableApi } from './table.ts';

export interface Attachment {
  readonly sysId: SysId;
  readonly tableSysId: SysId;
  readonly fileName: string;
  /** UTC `YYYY-MM-DD HH:mm:ss`. */
  readonly createdOn: string;
  readonly sizeBytes: number | undefined;
}

export interface AttachmentApi {
  /** How many attachments each of the records has; records without one are absent. */
  countPerRecord(tableName: string, sysIds: readonly SysId[], signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** Attachments of one record. */
  list(tableName: string, sysId: SysId, signal?: AbortSignal): Promise<readonly Attachment[]>;
  /**
   * Deletes one attachment, for good. `gone`: it was not there any more, or is not readable (the instance does not say which).
   * @throws SyncError `forbidden` when the user may not; `outcome-unknown` when it may or may not have been deleted
   */
  remove(sysId: SysId, signal?: AbortSignal): Promise<'deleted' | 'gone'>;
}

interface AttachmentDependencies {
  readonly table: TableApi;
  readonly aggregate: AggregateApi;
  readonly send: Send;
}

export function createAttachmentApi({ table, aggregate, send }: AttachmentDependencies): AttachmentApi {
  return {
    countPerRecord: async (tableName, sysIds, signal) => {
      const counts = new Map<string, number>();
      for (const part of splitByBytes(query().equals('table_name', tableName), 'table_sys_id', sysIds)) {
        for (const [sysId, count] of await aggregate.countBy('sys_attachment', part, 'table_sys_id', signal)) counts.set(sysId, count);
      }
      return counts;
    },
    list: async (tableName, sysId, signal) => {
      const found: Attachment[] = [];
      const options = {
        query: query().equals('table_name', tableName).equals('table_sys_id', sysId),
        fields: ['table_name', 'table_sys_id', 'file_name', 'sys_created_on', 'size_bytes'],
      };
      for await (const row of table.listAll('sys_attachment', options, signal)) {
        const sizeBytes = Number(valueOf(row, 'size_bytes') || Number.NaN);
        found.push({
          sysId: valueOf(row, 'sys_id') as SysId,
          tableSysId: valueOf(row, 'table_sys_id') as SysId,
          fileName: valueOf(row, 'file_name'),
          createdOn: valueOf(row, 'sys_created_on'),
          sizeBytes: Number.isFinite(sizeBytes) ? sizeBytes : undefined,
        });
      }
      return found;
    },
    remove: async (sysId, signal) => {
      const path = `/api/now/attachment/${encodeURIComponent(sysId)}`;
      const answer = await send({ method: 'DELETE', path, kind: 'serviceNowBookkeeping', effect: 'write', alsoFine: [404], signal });
      return answer.status === 404 ? 'gone' : 'deleted';
    },
  };
}
