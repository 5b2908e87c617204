import { ApiError } from '../http.ts';

/** One item of an identification payload (servicenow.md §5.1). */
export interface PayloadItem {
  index: number;
  className: string;
  internalId: string | undefined;
  values: Record<string, string>;
  related: { className: string; values: Record<string, string> }[];
  lookup: { className: string }[];
  settings: { updateWithoutDowngrade: boolean; updateWithoutSwitch: boolean; updateWithoutUpgrade: boolean };
  source: { name: string; nativeKey: string; feed: string; recency: string } | undefined;
  /** As sent, for the messages that quote the item. */
  raw: Record<string, unknown>;
}

export interface PayloadRelation {
  index: number;
  /** Index of the item, or undefined where the payload names none that exists. */
  parent: number | undefined;
  child: number | undefined;
  type: string;
  raw: Record<string, unknown>;
}

export interface Payload {
  items: PayloadItem[];
  relations: PayloadRelation[];
}

/** Reads a payload; an end of a relation that is no number is a server error, as recorded (dictionary/identifiers.json, engine facts). */
export function parsePayload(body: unknown): Payload {
  const { items, relations } = asObject(body);
  if (items !== undefined && !Array.isArray(items)) throw badPayload('items is not an array');
  const parsed = ((items ?? []) as unknown[]).map(parseItem);
  const byInternalId = new Map(parsed.flatMap((item) => (item.internalId === undefined ? [] : [[item.internalId, item.index] as const])));
  const parsedRelations = (Array.isArray(relations) ? (relations as unknown[]) : []).map((value, index) =>
    parseRelation(asObject(value), index, parsed.length, byInternalId),
  );
  return { items: parsed, relations: parsedRelations };
}

function parseItem(value: unknown, index: number): PayloadItem {
  const raw = asObject(value);
  if (typeof raw['className'] !== 'string') throw badPayload(`item ${String(index)} has no className`);
  const settings = asOptionalObject(raw['settings']);
  const source = raw['sys_object_source_info'] === undefined ? undefined : asOptionalObject(raw['sys_object_source_info']);
  return {
    index,
    className: raw['className'],
    internalId: typeof raw['internal_id'] === 'string' ? raw['internal_id'] : undefined,
    values: textValues(raw['values']),
    related: subItems(raw['related']),
    lookup: subItems(raw['lookup']),
    settings: {
      updateWithoutDowngrade: isTrue(settings['updateWithoutDowngrade']),
      updateWithoutSwitch: isTrue(settings['updateWithoutSwitch']),
      updateWithoutUpgrade: isTrue(settings['updateWithoutUpgrade']),
    },
    source:
      source === undefined
        ? undefined
        : {
            name: text(source['source_name']),
            nativeKey: text(source['source_native_key']),
            feed: text(source['source_feed']),
            recency: text(source['source_recency_timestamp']),
          },
    raw,
  };
}

function parseRelation(raw: Record<string, unknown>, index: number, count: number, byInternalId: Map<string, number>): PayloadRelation {
  const end = (position: unknown, internalId: unknown): number | undefined => {
    if (typeof internalId === 'string') return byInternalId.get(internalId);
    if (typeof position === 'string' && !/^\d+$/.test(position)) {
      const message = `com.fasterxml.jackson.databind.exc.InvalidFormatException: Cannot deserialize value of type \`java.lang.Integer\` from String "${position}"`;
      throw new ApiError(500, message, message);
    }
    const number = Number(position);
    return Number.isInteger(number) && number >= 0 && number < count ? number : undefined;
  };
  return {
    index,
    parent: end(raw['parent'], raw['parent_id']),
    child: end(raw['child'], raw['child_id']),
    type: text(raw['type']),
    raw,
  };
}

function subItems(value: unknown): { className: string; values: Record<string, string> }[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).map((entry) => {
    const raw = asObject(entry);
    return { className: text(raw['className']), values: textValues(raw['values']) };
  });
}

function textValues(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asOptionalObject(value)).map(([name, entry]) => [name, text(entry)]));
}

function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : JSON.stringify(value);
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badPayload('an object was expected');
  return value as Record<string, unknown>;
}

function asOptionalObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function badPayload(reason: string): ApiError {
  return new ApiError(400, 'Exception while reading request', `Error occurred during parsing input json payload: ${reason}`);
}
