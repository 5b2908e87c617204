/** What each of the identification engine's codes asks a person to do (servicenow.md §5.1). */
const configuration =
  'The identification rules of the instance do not fit this class: check CI Class Manager › the class › Identification Rule, and its hosting and containment rules.';

const remedies: Readonly<Record<string, string>> = {
  INVALID_INPUT_DATA:
    'Add the configured data source as a choice of cmdb_ci.discovery_source in exactly this spelling, and check the relation types in cmdb_rel_type.',
  MISSING_DEPENDENCY: `The CI's datacenter or service account is missing from its payload, or the hosting rule differs. ${configuration}`,
  MISSING_MATCHING_ATTRIBUTES:
    'The resource lacks an attribute that the identification rule needs; the record cannot be identified as it is.',
  REQUIRED_ATTRIBUTE_EMPTY: 'A mandatory attribute of the class is empty: make it optional in the dictionary, or give it a default.',
  INSERT_NOT_ALLOWED_FOR_SOURCE:
    'An IRE data source rule forbids this source to insert into the class: change it under Configuration › Identification/Reconciliation › IRE Data Source Rules.',
  MULTIPLE_DUPLICATE_RECORDS: 'The CMDB already holds duplicates of this CI: solve the de-duplication task, then run again.',
  MULTI_MATCH: 'Several CIs match this one: solve the de-duplication task, then run again.',
  DUPLICATE_PAYLOAD_RECORDS: 'The payload held this CI twice; this is a defect of the engine, please report it with the run id.',
  DUPLICATE_RELATIONSHIP_TYPES: 'cmdb_rel_type holds the relation type twice: remove one of them.',
  RECLASSIFICATION_NOT_ALLOWED:
    'The CI exists in another class and a reclassification restriction rule protects it: allow the change or leave the CI there.',
  INSERT_FAILED: 'A business rule of the CI class refused the insert: see the system log of the instance.',
};

/** The exact steps for a code; for codes that speak of the class's rules the place where they are kept. */
export function ireRemedy(code: string): string {
  return remedies[code] ?? configuration;
}
