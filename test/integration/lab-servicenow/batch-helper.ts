import type { Answer, CallOptions, StartedLab } from './start.ts';

export interface BatchItem {
  id: string;
  method: string;
  url: string;
  headers: { name: string; value: string }[];
  body?: string;
  exclude_response_headers?: boolean;
}

/** One item of a batch with a JSON body, encoded as servicenow.md §5.4 says. */
export function item(id: string, method: string, url: string, body?: unknown): BatchItem {
  const headers = [
    { name: 'Accept', value: 'application/json' },
    { name: 'Content-Type', value: 'application/json' },
  ];
  return { id, method, url, headers, ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)).toString('base64') }) };
}

export function runBatch(started: StartedLab, items: BatchItem[], options?: CallOptions): Promise<Answer> {
  return started.post('/api/now/v1/batch', { batch_request_id: '1', rest_requests: items }, options);
}

/** The serviced items with their bodies decoded. */
export function decodeItems(answer: Answer): { id: string; status: number; json: unknown }[] {
  const serviced = answer.json.serviced_requests as { id: string; status_code: number; body: string }[];
  return serviced.map(({ id, status_code: status, body }) => {
    const text = Buffer.from(body, 'base64').toString('utf8');
    return { id, status, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  });
}
