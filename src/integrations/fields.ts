/** Reading normalised bodies back: they come from the ledger as JSON, so every field is checked for its type once more. */
import type { JsonObject } from '../model.ts';

/** A text field, or undefined when it is absent or something else. */
export function asText(body: JsonObject, field: string): string | undefined {
  const value = body[field];
  return typeof value === 'string' ? value : undefined;
}

/** A list of texts; empty when it is absent. */
export function asTexts(body: JsonObject, field: string): readonly string[] {
  const value = body[field];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function asNumber(body: JsonObject, field: string): number | undefined {
  const value = body[field];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** True only for `true`: false flags are not stored. */
export function flagged(body: JsonObject, field: string): boolean {
  return body[field] === true;
}

/** A nested object; empty when it is absent. */
export function asObject(body: JsonObject, field: string): JsonObject {
  const value = body[field];
  return isObject(value) ? value : {};
}

/** A list of objects; empty when it is absent. */
export function asObjects(body: JsonObject, field: string): readonly JsonObject[] {
  const value = body[field];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: JsonObject[string] | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
