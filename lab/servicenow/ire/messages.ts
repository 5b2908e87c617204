import type { PayloadItem } from './payload.ts';

/** An error or a warning of the engine; texts as documented (identifyreconcile/error_message_templates.json). */
export interface IreMessage {
  error: string;
  message: string;
}

export const messages = {
  ruleMissing: (table: string): IreMessage => ({
    error: 'IDENTIFICATION_RULE_MISSING',
    message: `Identity Rule Missing for table [${table}]`,
  }),
  missingAttributes: (table: string, item: string): IreMessage => ({
    error: 'MISSING_MATCHING_ATTRIBUTES',
    message: `In payload missing minimum set of input values for criterion (matching) attributes from identify rule for table [${table}]. Add these input values in payload item '${item}'`,
  }),
  requiredEmpty: (column: string, table: string): IreMessage => ({
    error: 'REQUIRED_ATTRIBUTE_EMPTY',
    message: `Missing mandatory field [${column}] in table [${table}]. Add input value for mandatory field in payload`,
  }),
  missingDependency: (table: string, rules: string, item: string): IreMessage => ({
    error: 'MISSING_DEPENDENCY',
    message: `In payload no relations defined for dependent class [${table}] that matches any containment/hosting rules: [${rules}]. Add appropriate relations in payload for '${item}'`,
  }),
  metadataMissing: (table: string, item: string): IreMessage => ({
    error: 'METADATA_RULE_MISSING',
    message: `No containment or hosting rules defined for dependent class [${table}]. Add containment/hosting rules for '${item}'`,
  }),
  multipleDependencies: (one: string, other: string): IreMessage => ({
    error: 'MULTIPLE_DEPENDENCIES',
    message: `Found multiple dependent relation items [${one}] and [${other}] in payload`,
  }),
  qualificationLoop: (relation: string): IreMessage => ({
    error: 'QUALIFICATION_LOOP',
    message: `Qualification chain has loop that contains relation '${relation}'`,
  }),
  abandoned: (item: string, host: string): IreMessage => ({
    error: 'ABANDONED',
    message: `Abandoning processing payload item '${item}', since its depends on payload item '${host}' has errors`,
  }),
  abandonedRelation: (item: string): IreMessage => ({
    error: 'ABANDONED',
    message: `While processing relations encountered errors in payload item: ${item}`,
  }),
  abandonedPayload: (source: string): IreMessage => ({
    error: 'ABANDONED',
    message: `Detected error while processing payload from ${source}`,
  }),
  duplicates: (one: number, other: number, table: string, fields: string[]): IreMessage => ({
    error: 'DUPLICATE_PAYLOAD_RECORDS',
    message: `Found duplicate items in the payload (index ${String(one)} and ${String(other)}), using className [${table}] and fields [${fields.join(', ')}]. Remove duplicate items from payload`,
  }),
  multipleRecords: (table: string, fields: string[]): IreMessage => ({
    error: 'MULTIPLE_DUPLICATE_RECORDS',
    message: `Found duplicate records in table [${table}] using fields [${fields.join(', ')}]`,
  }),
  unknownSysId: (sysId: string, table: string): IreMessage => ({
    error: 'INVALID_INPUT_DATA',
    message: `Found invalid sys_id in payload. No record with sys_id [${sysId}] exist in table [${table}] or is a duplicate record with [duplicate_of] field set to a main CI`,
  }),
  noSource: (): IreMessage => ({
    error: 'INVALID_INPUT_DATA',
    message: 'In payload no data source exist. You need to provide choice value from choice field [discovery_source] in table [cmdb_ci]',
  }),
  unknownSource: (source: string): IreMessage => ({
    error: 'INVALID_INPUT_DATA',
    message: `In payload invalid data source [${source}] exist. You need to provide a valid choice value from field [discovery_source] in table [cmdb_ci]`,
  }),
  unknownRelationType: (name: string): IreMessage => ({
    error: 'INVALID_INPUT_DATA',
    message: `No such relationship with name [${name}] exist in table [cmdb_rel_type]. If out-of-box relationship for [${name}] has been removed or renamed, it should be restored`,
  }),
  badIndex: (relation: string, end: 'parent' | 'child', index: string): IreMessage => ({
    error: 'INVALID_INPUT_DATA',
    message: `Payload relations '${relation}' has invalid ${end} record index: [${index}]`,
  }),
  relatedRuleMissing: (table: string, related: string): IreMessage => ({
    error: 'IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING',
    message: `Identity Rule for table [${table}] missing Related Rule for class [${related}]`,
  }),
  lockTimeout: (item: string): IreMessage => ({ error: 'LOCK_TIMEOUT', message: `Failed to acquire synchronization lock for ${item}` }),
  /** The code of this warning was not recorded; the text starts as it was (dictionary/identifiers.json, engine facts). */
  unknownField: (column: string, table: string): IreMessage => ({
    error: 'UNKNOWN_FIELD',
    message: `unknown field [${column}] in table [${table}]`,
  }),
};

/** The item as the engine quotes it. */
export function quoted(item: PayloadItem, dataSource: string): string {
  const { className, values, internalId, source } = item;
  return JSON.stringify({
    className,
    values: { discovery_source: dataSource, ...values },
    ...(internalId === undefined ? {} : { internal_id: internalId }),
    ...(source === undefined ? {} : { sys_object_source_info: { source_name: source.name, source_native_key: source.nativeKey } }),
  });
}
