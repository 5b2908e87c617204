import { ApiError } from '../http.ts';

/** Where a record comes from, as its source names it (servicenow.md §5.1). */
export interface SourceInfo {
  name: string;
  nativeKey: string;
  feed: string;
  /** `YYYY-MM-DD hh:mm:ss`, UTC; '' where the payload names none. */
  recency: string;
}

/** A look-up or related record inside an item. */
export interface SubItem {
  className: string;
  internalId: string | undefined;
  values: Record<string, string>;
  source: SourceInfo | undefined;
}

export type ClassChange = 'UPGRADE' | 'DOWNGRADE' | 'SWITCH';

/** One item of an identification payload (servicenow.md §5.1). */
export interface PayloadItem {
  index: number;
  className: string;
  internalId: string | undefined;
  values: Record<string, string>;
  related: SubItem[];
  lookup: SubItem[];
  settings: {
    updateWithout: Record<ClassChange, boolean>;
    /** `classUpgrade`, `classDowngrade`, `classSwitch`: override the instance's properties where given. */
    allowed: Partial<Record<ClassChange, boolean>>;
    skipRestrictionRules: boolean;
  };
  source: SourceInfo | undefined;
  /** As sent, for faults and for kept payloads. */
  raw: Record<string, unknown>;
}

/** An item, or a look-up or related record of it, that a relation or a reference names. */
export interface ItemRef {
  item: number;
  sub?: SubItem;
}

export interface PayloadRelation {
  index: number;
  /** undefined where the payload names none that exists. */
  parent: ItemRef | undefined;
  child: ItemRef | undefined;
  type: string;
  source: { name: string; feed: string };
  raw: Record<string, unknown>;
}

export interface PayloadReference {
  referenced: ItemRef;
  referencedBy: ItemRef;
  field: string;
}

export interface Payload {
  items: PayloadItem[];
  relations: PayloadRelation[];
  references: PayloadReference[];
}

/** Reads a payload; an end of a relation that is no number is a server error, as recorded (dictionary/identifiers.json, engine facts). */
export function parsePayload(body: unknown): Payload {
  const { items, relations, referenceItems } = asObject(body);
  if (items !== undefined && !Array.isArray(items)) throw badPayload('items is not an array');
  const parsed = ((items ?? []) as unknown[]).map(parseItem);
  const find = refFinder(parsed);
  return {
    items: parsed,
    relations: listOf(relations).map((value, index) => parseRelation(asObject(value), index, find)),
    references: listOf(referenceItems).flatMap((value) => parseReference(asObject(value), find)),
  };
}

export function parseItem(value: unknown, index: number): PayloadItem {
  const raw = asObject(value);
  if (typeof raw['className'] !== 'string') throw badPayload(`item ${String(index)} has no className`);
  const settings = asOptionalObject(raw['settings']);
  const flag = (name: string): unknown => settings[name] ?? raw[name];
  return {
    index,
    className: raw['className'],
    internalId: optionalText(raw['internal_id']),
    values: textValues(raw['values']),
    related: subItems(raw['related']),
    lookup: subItems(raw['lookup']),
    settings: {
      updateWithout: {
        UPGRADE: isTrue(settings['updateWithoutUpgrade']),
        DOWNGRADE: isTrue(settings['updateWithoutDowngrade']),
        SWITCH: isTrue(settings['updateWithoutSwitch']),
      },
      allowed: {
        ...(flag('classUpgrade') === undefined ? {} : { UPGRADE: isTrue(flag('classUpgrade')) }),
        ...(flag('classDowngrade') === undefined ? {} : { DOWNGRADE: isTrue(flag('classDowngrade')) }),
        ...(flag('classSwitch') === undefined ? {} : { SWITCH: isTrue(flag('classSwitch')) }),
      },
      skipRestrictionRules: isTrue(settings['skipReclassificationRestrictionRules']),
    },
    source: sourceInfo(raw['sys_object_source_info']),
    raw,
  };
}

type RefFinder = (position: unknown, internalId: unknown) => ItemRef | undefined;

/** Finds items by index, or any item, look-up or related record by internal_id. */
function refFinder(items: PayloadItem[]): RefFinder {
  const byId = new Map<string, ItemRef>();
  for (const { index, internalId, lookup, related } of items) {
    if (internalId !== undefined) byId.set(internalId, { item: index });
    for (const sub of [...lookup, ...related]) if (sub.internalId !== undefined) byId.set(sub.internalId, { item: index, sub });
  }
  return (position, internalId) => {
    if (typeof internalId === 'string') return byId.get(internalId);
    if (typeof position === 'string' && !/^\d+$/.test(position)) {
      const message = `com.fasterxml.jackson.databind.exc.InvalidFormatException: Cannot deserialize value of type \`java.lang.Integer\` from String "${position}"`;
      throw new ApiError(500, message, message);
    }
    const number = Number(position ?? Number.NaN);
    return Number.isInteger(number) && number >= 0 && number < items.length ? { item: number } : undefined;
  };
}

function parseRelation(raw: Record<string, unknown>, index: number, find: RefFinder): PayloadRelation {
  const info = asOptionalObject(raw['sys_rel_source_info']);
  return {
    index,
    parent: find(raw['parent'], raw['parent_id']),
    child: find(raw['child'], raw['child_id']),
    type: text(raw['type']),
    source: { name: text(info['source_name']), feed: text(info['source_feed']) },
    raw,
  };
}

/** The ends of a reference are internal ids, or indexes as of a relation; one that names nothing is left out. */
function parseReference(raw: Record<string, unknown>, find: RefFinder): PayloadReference[] {
  const end = (value: unknown): ItemRef | undefined => (typeof value === 'string' ? find(undefined, value) : find(value, undefined));
  const referenced = end(raw['referenced']);
  const referencedBy = end(raw['referencedBy']);
  return referenced === undefined || referencedBy === undefined ? [] : [{ referenced, referencedBy, field: text(raw['referenceField']) }];
}

function subItems(value: unknown): SubItem[] {
  return listOf(value).map((entry) => {
    const raw = asObject(entry);
    return {
      className: text(raw['className']),
      internalId: optionalText(raw['internal_id']),
      values: textValues(raw['values']),
      source: sourceInfo(raw['sys_object_source_info']),
    };
  });
}

function sourceInfo(value: unknown): SourceInfo | undefined {
  if (value === undefined) return undefined;
  const info = asOptionalObject(value);
  return {
    name: text(info['source_name']),
    nativeKey: text(info['source_native_key']),
    feed: text(info['source_feed']),
    recency: text(info['source_recency_timestamp']),
  };
}

function textValues(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asOptionalObject(value)).map(([name, entry]) => [name, text(entry)]));
}

function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value);
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
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
