import { hash } from 'node:crypto';
import type { DesiredRecord, Json } from '../model.ts';

/** Bytes of a ledger digest: 128 bits are plenty for identity, and half the index of a SHA-256. */
export const digestBytes = 16;

/** 16-byte digest of a natural key or of canonical content. */
export function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer').subarray(0, digestBytes);
}

/** JSON text with sorted keys: equal content gives equal text, whatever the key order was. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonicalJson).join(',')}]`;
  const object = value as { readonly [key: string]: Json };
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] ?? null)}`);
  return `{${members.join(',')}}`;
}

/** Packs digests into one byte string (the manifest of a page); duplicates are dropped. */
export function packDigests(digests: Iterable<Buffer>): Buffer {
  const distinct = new Map<string, Buffer>();
  for (const one of digests) distinct.set(one.toString('latin1'), one);
  return Buffer.concat([...distinct.values()]);
}

export function recordKey(key: string): Buffer {
  return digest(`record\n${key}`);
}

/** Content of a desired record: volatile fields are left out, so that a scan time alone never makes a write. */
export function contentOf(record: DesiredRecord): Buffer {
  return digest(`${record.onlyIfExists ? 'if-exists' : 'record'}\n${canonicalJson(record.fields)}`);
}
