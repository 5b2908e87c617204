/**
 * Reading rows that nobody vouches for (azure.md §0.6: casing differs from the specification; §5 "zod rules"). A row that
 * cannot be used is quarantined with one sentence; nothing here throws, whatever the row is.
 */
import { z } from 'zod';
import type { JsonObject, ObservedId, ObservedKind, ObservedRecord, RowOutcome } from '../model.ts';
import { observedId } from './natural-key.ts';
import { cut } from './text.ts';

/** Longest single string of a row, in UTF-16 code units. */
export const maxStringLength = 1_048_576;
/** Largest row, in bytes as serialised (estimated: at least this much). */
export const maxRowBytes = 4 * 1_048_576;
const maxDepth = 64;

/** An object schema that finds its fields in any case (`Source` and `source`) and tolerates all others. `null` means absent. */
export function looseRow<Shape extends z.ZodRawShape>(shape: Shape): z.ZodPreprocess<z.ZodObject<Shape, z.core.$loose>> {
  const names = Object.keys(shape);
  const byLowerName = new Map(names.map((name) => [name.toLowerCase(), name]));
  return z.preprocess((value) => foldNames(value, byLowerName), z.looseObject(shape));
}

/** Copies only the fields that the schema knows. An exact spelling wins over others; among others the first in code-point order. */
function foldNames(value: unknown, byLowerName: ReadonlyMap<string, string>): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const folded: Record<string, unknown> = {};
  const spelledAs = new Map<string, string>();
  for (const [key, content] of Object.entries(value)) {
    const name = byLowerName.get(key.toLowerCase());
    if (name === undefined || content === null) continue;
    const rival = spelledAs.get(name);
    if (rival !== undefined && key !== name && (rival === name || rival < key)) continue;
    spelledAs.set(name, key);
    folded[name] = content;
  }
  return folded;
}

/** Optional text. */
export const text = z.string().optional();
/** Optional list of texts. */
export const texts = z.array(z.string()).optional();
/** Optional flag; Azure also sends flags as text (azure.md §1.4). */
export const flag = z.union([z.boolean(), z.string().transform((value) => value.toLowerCase() === 'true')]).optional();

/** What an integration's own part of `parse` says of a row that has the right shape. */
export type Reading =
  | { readonly body: JsonObject; readonly group: string; readonly links?: NonNullable<ObservedRecord['links']> }
  | { readonly excluded: string }
  | Problem;
export interface Problem {
  /** Which field, what is wrong with it. */
  readonly problem: string;
}

/**
 * Makes a total `parse`: size and characters, shape, id, then the integration's own reading.
 * @param idOf the row's natural key as spelled, or what is wrong with it
 */
export function rowParser<Row>(
  kind: ObservedKind,
  schema: z.ZodType<Row>,
  idOf: (row: Row) => string | Problem,
  read: (row: Row, id: ObservedId) => Reading,
): (row: unknown) => RowOutcome {
  return (row) => {
    const id = readableId(row);
    const quarantined = (because: string): RowOutcome => ({ outcome: 'quarantined', because, ...(id !== undefined && { id }) });
    const unusable = reasonUnusable(row);
    if (unusable !== undefined) return quarantined(unusable);
    const parsed = schema.safeParse(row);
    if (!parsed.success) return quarantined(sentence(parsed.error));
    const spelled = idOf(parsed.data);
    if (typeof spelled !== 'string') return quarantined(spelled.problem);
    const key = observedId(spelled);
    if ('invalid' in key) return quarantined(`id ${key.invalid}`);
    const reading = read(parsed.data, key.id);
    if ('problem' in reading) return quarantined(reading.problem);
    if ('excluded' in reading) return { outcome: 'excluded', because: reading.excluded };
    return { outcome: 'observed', record: { kind, id: key.id, ...reading } };
  };
}

/** Takes the row's id if it is an ARM id of that type, at whatever scope: `…/providers/{type}/{name}`. @param type in lower case */
export function armId(type: string): (row: { readonly id: string }) => string | Problem {
  const path = new RegExp(`/providers/${type.replaceAll('.', '\\.')}/[^/]+/*$`, 'i');
  return ({ id }) => (path.test(id) ? id : { problem: `id is not that of ${type}` });
}

/** The id of a row as far as it can be read, for the quarantine list. */
function readableId(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null) return undefined;
  const fields = row as Record<string, unknown>;
  const id = [fields['id'], fields['Id'], fields['name'], fields['Name']].find((value) => typeof value === 'string' && value !== '');
  if (typeof id !== 'string') return undefined;
  return cut(
    id
      .slice(0, 400)
      .toWellFormed()
      .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '�'),
    300,
  );
}

/** The first thing that is wrong with the shape, as one sentence: `properties.status.code is missing`. */
export function sentence(error: z.ZodError, prefix = ''): string {
  const [issue] = error.issues;
  const path = cut([...(prefix === '' ? [] : [prefix]), ...(issue?.path ?? []).map(String)].join('.'), 200);
  const field = path === '' ? 'the row' : path;
  if (issue?.code !== 'invalid_type') return `${field} has another type than documented`;
  return issue.message.endsWith('undefined')
    ? `${field} is missing`
    : `${field} is not ${issue.expected === 'string' ? 'text' : `of type ${issue.expected}`}`;
}

interface Place {
  readonly value: unknown;
  readonly key: string;
  readonly depth: number;
  readonly parent: Place | undefined;
}

/** Walks the row without recursion: a hostile row may be as deep as it likes. */
function reasonUnusable(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return 'the row is not an object';
  let bytes = 0;
  const stack: Place[] = [{ value: row, key: '', depth: 0, parent: undefined }];
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    const { value, depth } = place;
    if (typeof value === 'string') {
      const wrong = wrongText(value);
      if (wrong !== undefined) return `${pathOf(place)} ${wrong}`;
      bytes += value.length + 2;
    } else if (typeof value === 'object' && value !== null) {
      if (depth >= maxDepth) return `the row is nested deeper than ${maxDepth} levels`;
      for (const [key, child] of Object.entries(value)) {
        const wrong = wrongText(key);
        if (wrong !== undefined) return `a field name below ${pathOf(place)} ${wrong}`;
        bytes += key.length + 4;
        stack.push({ value: child, key, depth: depth + 1, parent: place });
      }
    } else bytes += 5;
    if (bytes > maxRowBytes) return `the row is larger than ${maxRowBytes / 1_048_576} MB`;
  }
  return undefined;
}

function pathOf(place: Place): string {
  const keys: string[] = [];
  for (let step = place; step.parent !== undefined; step = step.parent) keys.unshift(step.key);
  return keys.length === 0 ? 'the row' : cut(keys.join('.'), 200);
}

/** NUL and lone surrogates can be stored in no JSON column; nothing that contains them was meant to be read. */
function wrongText(value: string): string | undefined {
  if (value.length > maxStringLength) return `is longer than ${maxStringLength / 1_048_576} MB`;
  if (value.includes('\u0000')) return 'contains NUL';
  return value.isWellFormed() ? undefined : 'contains half of a surrogate pair';
}

/** Drops absent fields (no value, no text, no flag, an empty list), so that equal content is an equal body. */
export function body(fields: Readonly<Record<string, JsonObject[string] | undefined>>): JsonObject {
  const kept: Record<string, JsonObject[string]> = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || value === '' || value === false || (Array.isArray(value) && value.length === 0)) continue;
    kept[name] = value;
  }
  return kept;
}
