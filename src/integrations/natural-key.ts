/** Natural keys: what makes two descriptions the same record, in the ledger and in `source_id` (mapping.md, first paragraph). */
import { createHash } from 'node:crypto';
import { maxIdLength, reasonNotAnId } from '../inventory/resource-id.ts';
import type { ObservedId } from '../model.ts';

/** Parts joined by `|`, lower case; longer than 2,048 characters: cut, then `~` and 16 hex digits of the SHA-256 of the whole. */
export function naturalKey(...parts: readonly string[]): string {
  const key = parts.map((part) => part.replaceAll('|', '%7c').toLowerCase()).join('|');
  if (key.length <= maxIdLength) return key;
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 16);
  return `${key.slice(0, maxIdLength - 17).replace(/[\ud800-\udbff]$/, '')}~${hash}`;
}

/** The lower-case id of something observed, or why the text cannot be one. */
export function observedId(text: string): { readonly id: ObservedId } | { readonly invalid: string } {
  const invalid = reasonNotAnId(text);
  return invalid === undefined ? { id: text.replace(/(?<=.)\/+$/, '').toLowerCase() as ObservedId } : { invalid };
}
