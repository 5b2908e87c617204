import { randomBytes } from 'node:crypto';
import type { ApiRequest, ApiResponse } from './http.ts';
import { toXml } from './xml.ts';

/**
 * What the platform adds to every answer of its REST interface (table-api/get_list_incident_v2_full_headers.json,
 * errors/401_not_authenticated.http): who answers, whether the caller is signed in, the transaction. Session cookies are the business
 * of sessions.ts.
 */
export function withPlatformHeaders(response: ApiResponse): ApiResponse {
  const signedIn: Record<string, string> =
    response.status === 401
      ? {}
      : {
          'server-timing': 'sem_wait;dur=0, sesh_wait;dur=0',
          'x-is-logged-in': 'true',
          'x-transaction-id': randomBytes(6).toString('hex'),
          'x-content-type-options': 'nosniff',
        };
  const always = { server: 'ServiceNow', 'strict-transport-security': 'max-age=63072000; includeSubDomains' };
  return { ...response, headers: { ...signedIn, ...always, ...response.headers } };
}

/** Turns a JSON answer into XML where the caller asked for that alone (c_TableAPI: Accept application/json or application/xml). */
export function inAcceptedFormat(request: ApiRequest, response: ApiResponse): ApiResponse {
  const accept = request.headers.accept ?? '';
  const wantsXml = /application\/xml/i.test(accept) && !/application\/json|\*\/\*/i.test(accept);
  const isJson = /^application\/json/.test(response.headers['content-type'] ?? '');
  if (!wantsXml || !isJson || typeof response.body !== 'string' || response.body === '') return response;
  return {
    ...response,
    headers: { ...response.headers, 'content-type': 'application/xml; charset=UTF-8' },
    body: toXml(JSON.parse(response.body)),
  };
}
