import type { PayloadItem, SubItem } from './payload.ts';

/** An error or a warning of the engine; texts as documented (identifyreconcile/error_message_templates.json). */
export interface IreMessage {
  error: string;
  message: string;
}

const of = (error: string, message: string): IreMessage => ({ error, message });
const listed = (fields: string[]): string => fields.join(', ');

export const messages = {
  ruleMissing: (table: string) => of('IDENTIFICATION_RULE_MISSING', `Identity Rule Missing for table [${table}]`),
  missingAttributes: (table: string, item: string) =>
    of(
      'MISSING_MATCHING_ATTRIBUTES',
      `In payload missing minimum set of input values for criterion (matching) attributes from identify rule for table [${table}]. Add these input values in payload item '${item}'`,
    ),
  classNameInIndependent: (table: string) =>
    of('NO_CLASS_NAME_FOR_INDEPENDENT_CI', `Cannot have 'sys_class_name' as a key field in an Independent Identity Rule on '${table}'`),
  lookupRuleMissing: (table: string, lookup: string) =>
    of('IDENTIFICATION_RULE_FOR_LOOKUP_MISSING', `Identity Rule for table [${table}] missing Lookup Rule for class [${lookup}]`),
  relatedRuleMissing: (table: string, related: string) =>
    of('IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING', `Identity Rule for table [${table}] missing Related Rule for class [${related}]`),
  lookupInDependent: (table: string) =>
    of('NO_LOOKUP_RULES_FOR_DEPENDENT_CI', `Cannot have Lookup Rule for a Dependent Identity Rule on '${table}'`),
  unknownSysId: (sysId: string, table: string) =>
    of(
      'INVALID_INPUT_DATA',
      `Found invalid sys_id in payload. No record with sys_id [${sysId}] exist in table [${table}] or is a duplicate record with [duplicate_of] field set to a main CI`,
    ),
  noSource: () =>
    of(
      'INVALID_INPUT_DATA',
      'In payload no data source exist. You need to provide choice value from choice field [discovery_source] in table [cmdb_ci]',
    ),
  unknownSource: (source: string) =>
    of(
      'INVALID_INPUT_DATA',
      `In payload invalid data source [${source}] exist. You need to provide a valid choice value from field [discovery_source] in table [cmdb_ci]`,
    ),
  unknownRelationType: (name: string) =>
    of(
      'INVALID_INPUT_DATA',
      `No such relationship with name [${name}] exist in table [cmdb_rel_type]. If out-of-box relationship for [${name}] has been removed or renamed, it should be restored`,
    ),
  badIndex: (relation: string, end: 'parent' | 'child', index: string) =>
    of('INVALID_INPUT_DATA', `Payload relations '${relation}' has invalid ${end} record index: [${index}]`),
  doubledRelationType: (name: string, sysIds: string[]) =>
    of(
      'DUPLICATE_RELATIONSHIP_TYPES',
      `Duplicate relationship type records exists with name [${name}] in table [cmdb_rel_type] having sys_ids: [${listed(sysIds)}]`,
    ),
  duplicates: (one: number, other: number, table: string, fields: string[]) =>
    of(
      'DUPLICATE_PAYLOAD_RECORDS',
      `Found duplicate items in the payload (index ${String(one)} and ${String(other)}), using className [${table}] and fields [${listed(fields)}]. Remove duplicate items from payload`,
    ),
  duplicateSubItems: (kind: 'Related' | 'Lookup', one: number, other: number, item: number, fields: string[]) =>
    of(
      kind === 'Related' ? 'DUPLICATE_RELATED_PAYLOAD' : 'DUPLICATE_LOOKUP_PAYLOAD',
      `Found duplicate ${kind} items (${String(one)} and ${String(other)}) in the payload index ${String(item)} using fields ${listed(fields)}`,
    ),
  lockTimeout: (item: string) => of('LOCK_TIMEOUT', `Failed to acquire synchronization lock for ${item}`),
  multipleRecords: (table: string, fields: string[]) =>
    of('MULTIPLE_DUPLICATE_RECORDS', `Found duplicate records in table [${table}] using fields [${listed(fields)}]`),
  requiredEmpty: (column: string, table: string) =>
    of(
      'REQUIRED_ATTRIBUTE_EMPTY',
      `Missing mandatory field [${column}] in table [${table}]. Add input value for mandatory field in payload`,
    ),
  missingDependency: (table: string, rules: string, item: string) =>
    of(
      'MISSING_DEPENDENCY',
      `In payload no relations defined for dependent class [${table}] that matches any containment/hosting rules: [${rules}]. Add appropriate relations in payload for '${item}'`,
    ),
  metadataMissing: (table: string, item: string) =>
    of(
      'METADATA_RULE_MISSING',
      `No containment or hosting rules defined for dependent class [${table}]. Add containment/hosting rules for '${item}'`,
    ),
  multipleDependencies: (one: string, other: string) =>
    of('MULTIPLE_DEPENDENCIES', `Found multiple dependent relation items [${one}] and [${other}] in payload`),
  multiplePaths: (from: string, to: string) =>
    of('MULTIPLE_DEPENDENCIES', `Multiple paths leading to the same destination: ${from} -> ${to}`),
  abandoned: (item: string, host: string) =>
    of('ABANDONED', `Abandoning processing payload item '${item}', since its depends on payload item '${host}' has errors`),
  matchedRecordGone: (sysId: string, table: string) =>
    of('ABANDONED', `Can't find matched record with sys_id [${sysId}] in table [${table}]`),
  abandonedRelation: (item: string) => of('ABANDONED', `While processing relations encountered errors in payload item: ${item}`),
  abandonedPayload: (source: string) => of('ABANDONED', `Detected error while processing payload from ${source}`),
  duplicateDependents: (relation: string, table: string, sysId: string) =>
    of(
      'MULTI_MATCH',
      `Duplicate dependent records found having relationship [${relation}] with same CI (className:[${table}], sysId:[${sysId}])`,
    ),
  multipleRelations: (one: string, other: string) =>
    of('MULTI_MATCH', `Found multiple relations between payload items: '${one}' and '${other}'`),
  duplicateLookups: (table: string, fields: string[], reference: string) =>
    of(
      'MULTI_MATCH',
      `Found duplicate records in lookup table [${table}] using fields [${listed(fields)}] and reference field [${reference}]`,
    ),
  qualificationLoop: (relation: string) => of('QUALIFICATION_LOOP', `Qualification chain has loop that contains relation '${relation}'`),
  typeConflict: (one: string, other: string) =>
    of(
      'TYPE_CONFLICT_IN_QUALIFICATION',
      `Invalid payload, qualification chain has multiple possible paths for payload items: '${one}' and '${other}'`,
    ),
  reclassification: (from: string, to: string) =>
    of('RECLASSIFICATION_NOT_ALLOWED', `CI Reclassification not allowed from class: [${from}] to [${to}]`),
  insertNotAllowed: (table: string, source: string) =>
    of('INSERT_NOT_ALLOWED_FOR_SOURCE', `Insert into [${table}] is blocked for data source [${source}] by IRE data source rule`),
  /** Seen in UI texts and in the title of KB0812609, not among the documented templates. */
  insertFailed: (table: string, reason: string) =>
    of('INSERT_FAILED', `Insertion failed with error Error during insert of ${table} (${reason})`),
  /** The code of this warning was not recorded; the text starts as it was (dictionary/identifiers.json, engine facts). */
  unknownField: (column: string, table: string) => of('UNKNOWN_FIELD', `unknown field [${column}] in table [${table}]`),
} satisfies Record<string, (...parts: never[]) => IreMessage>;

/** How the engine quotes an item: with the data source, and on the enhanced endpoints with what it added itself. */
export interface Quoting {
  dataSource: string;
  /** The moment the payload arrived; undefined on the plain endpoints. */
  receivedAt: string | undefined;
}

/** The item as the engine quotes it (identifyreconcile_enhanced_insert_as_partial.json). */
export function quoted({ className, values, internalId, source }: PayloadItem | SubItem, { dataSource, receivedAt }: Quoting): string {
  return JSON.stringify({
    className,
    values: { discovery_source: dataSource, ...values },
    ...(internalId === undefined ? {} : { internal_id: internalId }),
    ...(source === undefined
      ? {}
      : {
          sys_object_source_info: {
            ...(source.feed === '' ? {} : { source_feed: source.feed }),
            source_name: source.name,
            source_native_key: source.nativeKey,
            ...(source.recency === '' ? {} : { source_recency_timestamp: source.recency }),
          },
        }),
    ...(receivedAt === undefined ? {} : { settings: {}, sys_ire_info: { ire_received_time: receivedAt } }),
  });
}
