/** What a person names a resource by, brought into the form in which the ledger knows it. */
import { ciKeyOf, imageCiKey, parseResourceId } from '../inventory/index.ts';
import type { ResourceName } from '../ledger/index.ts';

export type AskedFor =
  | { readonly type: 'resource'; readonly name: ResourceName }
  | { readonly type: 'sys-id'; readonly sysId: string }
  /** Not an id of anything; without a full stop. */
  | { readonly type: 'unusable'; readonly because: string };

/**
 * Understands a resource id of any cloud in any case, with or without the tail of an assessment's id, an image by its digest (with or
 * without `sha256:`) or its name with one, and a sys_id.
 */
export function askedFor(typed: string): AskedFor {
  const text = typed.trim();
  const lower = text.toLowerCase();
  if (/^[0-9a-f]{32}$/.test(lower)) return { type: 'sys-id', sysId: lower };
  const digest = /^(?:sha256:)?([0-9a-f]{64})$/.exec(lower)?.[1];
  if (digest !== undefined) return { type: 'resource', name: { ciKey: imageCiKey(digest), ids: [`sha256:${digest}`] } };
  const parsed = parseResourceId(text.replace(/\/providers\/microsoft\.security\/assessments\/[^/]*\/*$/i, ''));
  if ('invalid' in parsed) return { type: 'unusable', because: parsed.invalid };
  const ids = parsed.kind === 'image' ? [parsed.resourceId, `sha256:${parsed.digestHex}`] : [parsed.resourceId];
  return { type: 'resource', name: { ciKey: ciKeyOf(parsed.resourceId), ids } };
}
