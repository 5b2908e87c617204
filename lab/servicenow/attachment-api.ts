import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Caller } from './access.ts';
import type { AttachmentFiles } from './attachment-files.ts';
import { ApiError, apiPath, json, jsonBody, noContent, unparsable, type ApiRequest, type ApiResponse } from './http.ts';
import { parseMultipart } from './multipart.ts';
import { queryOf, wholeNumber } from './page-query.ts';
import { propertyOf } from './query/evaluate.ts';
import { renderRow } from './render.ts';
import type { Row } from './store.ts';
import { methodNotAllowed, noRecord, queryRows, refused, requireTable, unknownResource, type ApiContext } from './table-api.ts';

/** Documented for the list (c_AttachmentAPI). */
const DEFAULT_LIMIT = 1000;
const DEFAULT_MAX_SIZE_MB = 1024;
/** As recorded (attachment/post_file_201_headers.json). */
const CHUNK_SIZE_BYTES = '700000';

export interface AttachmentContext extends ApiContext {
  attachments: AttachmentFiles;
}

interface AttachmentCall extends AttachmentContext {
  caller: Caller;
  request: ApiRequest;
  /** `https://host/api/now`, with the version of the called URL. */
  apiBase: string;
}

/** `/api/now[/v1]/attachment`: list, one, contents, upload, multipart upload, rename, delete (servicenow.md §5.6; attachment/*.json). */
export function handleAttachment(context: AttachmentContext, caller: Caller, request: ApiRequest): ApiResponse {
  const path = apiPath(request.path);
  const [, first, second, ...more] = path?.parts ?? [];
  if (path === undefined || more.length > 0 || (second !== undefined && second !== 'file')) throw unknownResource();
  const call: AttachmentCall = { ...context, caller, request, apiBase: `${context.baseUrl()}${path.base}` };
  const { method } = request;
  if (first === undefined) {
    if (method === 'GET') return list(call);
    throw methodNotAllowed();
  }
  if (method === 'POST' && second === undefined && (first === 'file' || first === 'upload')) {
    return first === 'file' ? uploadFile(call) : uploadForm(call);
  }
  if (second === 'file') {
    if (method === 'GET') return contents(call, first);
    throw methodNotAllowed();
  }
  if (method === 'GET') return json(200, { result: metadata(call, readable(call, first)) });
  if (method === 'PATCH') return rename(call, first);
  if (method === 'DELETE') return remove(call, first);
  throw methodNotAllowed();
}

function list(call: AttachmentCall): ApiResponse {
  const { request, store, caller } = call;
  const table = requireTable(call, 'sys_attachment');
  const rows = queryRows(call, caller, table, queryOf(store, table, request));
  const limit = wholeNumber(request.query.get('sysparm_limit')) ?? DEFAULT_LIMIT;
  const offset = wholeNumber(request.query.get('sysparm_offset')) ?? 0;
  const page = rows.slice(offset, offset + limit).filter((row) => maySee(call, row));
  // No Link header in the recording, and the total counts what the caller cannot see, as for any table.
  return json(200, { result: page.map((row) => metadata(call, row)) }, { 'x-total-count': String(rows.length) });
}

function contents(call: AttachmentCall, sysId: string): ApiResponse {
  const row = readable(call, sysId);
  const body = call.attachments.get(row.sysId);
  if (body === undefined) throw noRecord();
  return { status: 200, headers: { 'content-type': row.values['content_type'] ?? 'application/octet-stream' }, body };
}

function uploadFile(call: AttachmentCall): ApiResponse {
  const { query, headers, body } = call.request;
  const contentType = headers['content-type'];
  // Documented as mandatory for uploads; the body of the 400 was not recorded.
  if (contentType === undefined) throw new ApiError(400, 'Content-Type header is missing', null);
  return attach(call, {
    tableName: query.get('table_name') ?? '',
    tableSysId: query.get('table_sys_id') ?? '',
    fileName: query.get('file_name') ?? '',
    contentType,
    content: body,
  });
}

function uploadForm(call: AttachmentCall): ApiResponse {
  const { headers, body } = call.request;
  const parts = parseMultipart(headers['content-type'] ?? '', body);
  if (parts === undefined) throw unparsable();
  const file = parts.find(({ fileName }) => fileName !== '');
  const textOf = (name: string): string => parts.find((part) => part.name === name)?.content.toString('utf8') ?? '';
  return attach(call, {
    tableName: textOf('table_name'),
    tableSysId: textOf('table_sys_id'),
    fileName: file?.fileName ?? '',
    contentType: file?.contentType ?? '',
    content: file?.content ?? Buffer.alloc(0),
  });
}

interface Upload {
  tableName: string;
  tableSysId: string;
  fileName: string;
  contentType: string;
  content: Buffer;
}

/** The caller needs the roles of sys_attachment and of the record's own table (c_AttachmentAPI, role requirements). */
function attach(call: AttachmentCall, upload: Upload): ApiResponse {
  const { store, access, caller } = call;
  const { tableName, tableSysId, fileName, contentType, content } = upload;
  if (tableName === '' || tableSysId === '' || fileName === '') {
    throw new ApiError(400, 'Mandatory parameters are missing', 'table_name, table_sys_id and file_name are mandatory');
  }
  const table = requireTable(call, 'sys_attachment');
  const owner = requireTable(call, tableName);
  if (store.find(tableName, tableSysId) === undefined || !access.may(caller, owner, 'read')) throw noRecord();
  if (!access.may(caller, table, 'create') || !access.may(caller, owner, 'write')) throw refused('Insert');
  requireSize(call, content);
  const row = store.insert(
    'sys_attachment',
    {
      file_name: fileName,
      table_name: tableName,
      table_sys_id: tableSysId,
      content_type: contentType,
      size_bytes: String(content.length),
      size_compressed: String(gzipSync(content).length),
      compressed: 'true',
      chunk_size_bytes: CHUNK_SIZE_BYTES,
      hash: createHash('sha256').update(content).digest('hex'),
      state: 'pending',
    },
    caller.userName,
  );
  call.attachments.put(row.sysId, content);
  call.attachments.scan(row.sysId);
  const result = metadata(call, row);
  return json(201, { result }, { location: result['download_link'] as string });
}

/** com.glide.attachment.max_size, in MB. What a larger file is answered was not recorded; the lab says 413. */
function requireSize({ store }: AttachmentCall, content: Buffer): void {
  const maxMb = Number(propertyOf(store, 'com.glide.attachment.max_size')) || DEFAULT_MAX_SIZE_MB;
  if (content.length <= maxMb * 1024 * 1024) return;
  throw new ApiError(413, 'Request entity too large', `The file is larger than ${String(maxMb)} MB (com.glide.attachment.max_size)`);
}

function rename(call: AttachmentCall, sysId: string): ApiResponse {
  const row = readable(call, sysId);
  const body = jsonBody(call.request) as { file_name?: unknown } | null;
  if (typeof body?.file_name !== 'string' || body.file_name === '') throw new ApiError(400, 'file_name is mandatory', null);
  requireMayChange(call, row, 'write');
  call.store.update(row, { file_name: body.file_name }, call.caller.userName);
  return noContent();
}

function remove(call: AttachmentCall, sysId: string): ApiResponse {
  const row = readable(call, sysId);
  requireMayChange(call, row, 'delete');
  call.store.delete(row);
  return noContent();
}

function requireMayChange({ access, caller, store }: AttachmentCall, row: Row, operation: 'write' | 'delete'): void {
  const table = store.schema.get('sys_attachment');
  const owner = store.schema.get(row.values['table_name'] ?? '');
  const may = table !== undefined && access.may(caller, table, operation) && (owner === undefined || access.may(caller, owner, 'write'));
  if (!may) throw refused(operation === 'write' ? 'Update' : 'Delete');
}

function readable(call: AttachmentCall, sysId: string): Row {
  const row = call.store.find('sys_attachment', sysId);
  if (row === undefined || !maySee(call, row)) throw noRecord();
  return row;
}

/** An attachment is as readable as the record it hangs on. */
function maySee({ access, attachments, caller, store }: AttachmentCall, row: Row): boolean {
  const table = store.schema.get('sys_attachment');
  const ownerName = row.values['table_name'] ?? '';
  const owner = store.schema.get(ownerName);
  if (table === undefined || !access.may(caller, table, 'read') || attachments.isHidden(ownerName)) return false;
  return owner === undefined || access.may(caller, owner, 'read');
}

function metadata({ store, apiBase }: AttachmentCall, row: Row): Record<string, unknown> {
  const table = store.schema.get('sys_attachment');
  if (table === undefined) throw unknownResource();
  const options = { linkBase: apiBase, display: 'false', excludeReferenceLink: true, fields: undefined, mayRead: () => true } as const;
  // sys_tags stands on every recorded attachment; it is no column of its own.
  return { ...renderRow(store, table, row, options), sys_tags: '', download_link: `${apiBase}/attachment/${row.sysId}/file` };
}
