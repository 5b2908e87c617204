import { randomAt } from '../../../kit/random.ts';
import type { Json, JsonObject } from '../../json.ts';
import { KNOWN_LINKS } from './known-links.ts';
import { AZURE_TABLES, FAMILIES, type SeverityInitial } from './tables-azure.ts';
import { AWS_TABLES, DYNAMIC_MACHINE_RULES, GCP_TABLES, ON_PREMISES_TABLES, type CloudTable } from './tables-multicloud.ts';

export type Severity = 'High' | 'Medium' | 'Low';
export type Cloud = 'Azure' | 'AWS' | 'GCP' | 'OnPremises';

/** One built-in recommendation: what is assessed, how severe, and the policy behind it. */
export interface CatalogueRule {
  readonly key: string;
  readonly title: string;
  readonly severity: Severity;
  readonly category: string;
  readonly cloud: Cloud;
  /** The assessed type; `subscription` for the subscription itself. */
  readonly resourceType: string;
  /** GUID of the built-in policy definition; undefined where Defender has none. */
  readonly policy: string | undefined;
  /** Retired rules whose metadata is gone although rows still name them. */
  readonly withoutMetadata: boolean;
}

export interface Catalogue {
  readonly rules: readonly CatalogueRule[];
  /** Rules of one assessed type, in order of their keys. */
  readonly rulesFor: (resourceType: string) => readonly CatalogueRule[];
  /** assessmentMetadata rows, dynamic machine rules included. */
  readonly metadata: readonly JsonObject[];
  readonly dynamicRules: readonly DynamicRule[];
}

/** An individual machine recommendation with a key of its own (azure.md §1.3 DynamicBuiltIn, §1.6 categories). */
export interface DynamicRule {
  readonly key: string;
  readonly title: string;
  readonly category: 'SoftwareUpdate' | 'SystemUpdate' | 'ServiceUpgrade';
  readonly severity: Severity;
}

const SEVERITIES: Record<SeverityInitial, Severity> = { H: 'High', M: 'Medium', L: 'Low' };
/** Two metadata may name one policy: 82e20e14 and fe02b3b7 both name feedbf84 (azure.md §1.1). */
const SQL_FINDINGS_POLICY = 'feedbf84-6b99-488c-acc2-71c829aa5ffc';
const SQL_FINDINGS = { key: '82e20e14-edc5-4373-bfc4-f13121257c37', title: 'SQL databases should have vulnerability findings resolved' };
const SQL_FINDINGS_TWIN = {
  key: 'fe02b3b7-a722-4d4d-9bd6-6e493776203a',
  title: 'SQL databases should have their vulnerability baseline set',
};
/** Titles whose metadata was withdrawn: a reader meets their keys in rows only. */
const WITHDRAWN = new Set([
  'Virtual machines should be migrated to new Azure Resource Manager resources',
  'PHP should be updated to the latest version for web apps',
]);

/** The catalogue is the same for every seed: Microsoft's recommendations do not depend on the customer. */
export function createCatalogue(): Catalogue {
  const rules = [
    ...azureRules(),
    ...cloudRules(AWS_TABLES, 'AWS'),
    ...cloudRules(GCP_TABLES, 'GCP'),
    ...cloudRules(ON_PREMISES_TABLES, 'OnPremises'),
  ];
  const byType = Map.groupBy(rules, (rule) => rule.resourceType);
  for (const ofType of byType.values()) ofType.sort((left, right) => (left.key < right.key ? -1 : 1));
  const dynamicRules = DYNAMIC_MACHINE_RULES.map(({ title, category }): DynamicRule => ({
    key: randomAt('dynamic', title).uuid(),
    title,
    category,
    severity: category === 'ServiceUpgrade' ? 'Medium' : 'High',
  }));
  const metadata = [...rules.filter((rule) => !rule.withoutMetadata).map(metadataRow), ...dynamicRules.map(dynamicMetadataRow)];
  return { rules, rulesFor: (type) => byType.get(type) ?? [], metadata, dynamicRules };
}

function azureRules(): CatalogueRule[] {
  return AZURE_TABLES.flatMap((table) => {
    const rule = (severity: SeverityInitial, title: string, link?: { policy: string; key: string }): CatalogueRule => ({
      key: link?.key ?? randomAt('assessment', table.resourceType, title).uuid(),
      title,
      severity: SEVERITIES[severity],
      category: table.category,
      cloud: 'Azure',
      resourceType: table.resourceType,
      policy: link?.policy ?? randomAt('policy', table.resourceType, title).uuid(),
      withoutMetadata: WITHDRAWN.has(title),
    });
    const known = (KNOWN_LINKS[table.resourceType] ?? []).map(([policy, key, severity, title]) => rule(severity, title, { policy, key }));
    const families = table.families.map((name) => {
      const [severity, sentence] = FAMILIES[name];
      return rule(severity, capitalised(sentence.replace('{s}', table.subject)));
    });
    const own = table.titles.map(([severity, title]) => rule(severity, title));
    const databases = table.resourceType === 'Microsoft.Sql/servers/databases' ? [SQL_FINDINGS, SQL_FINDINGS_TWIN] : [];
    return [...known, ...families, ...own, ...databases.map(({ key, title }) => rule('H', title, { policy: SQL_FINDINGS_POLICY, key }))];
  });
}

function cloudRules(tables: readonly CloudTable[], cloud: Cloud): CatalogueRule[] {
  return tables.flatMap((table) =>
    table.titles.map(([severity, title]) => ({
      key: randomAt('assessment', cloud, table.resourceType, title).uuid(),
      title,
      severity: SEVERITIES[severity],
      category: table.category,
      cloud,
      resourceType: table.resourceType,
      policy: undefined,
      withoutMetadata: false,
    })),
  );
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const THREATS: Record<string, readonly string[]> = {
  Compute: ['dataExfiltration', 'dataSpillage', 'maliciousInsider'],
  Networking: ['maliciousInsider', 'dataSpillage', 'denialOfService'],
  Data: ['dataExfiltration', 'dataSpillage'],
  IdentityAndAccess: ['accountBreach', 'elevationOfPrivilege'],
  Container: ['missingCoverage', 'dataExfiltration'],
  AppServices: ['threatResistance', 'dataSpillage'],
};
const TACTICS: Record<string, readonly (readonly [tactic: string, technique: string])[]> = {
  Compute: [
    ['Execution', 'User Execution'],
    ['Persistence', 'Event Triggered Execution'],
  ],
  Networking: [
    ['Initial Access', 'Exploit Public-Facing Application'],
    ['Lateral Movement', 'Remote Services'],
  ],
  Data: [
    ['Exfiltration', 'Transfer Data to Cloud Account'],
    ['Impact', 'Data Encrypted for Impact'],
  ],
  IdentityAndAccess: [
    ['Credential Access', 'Brute Force'],
    ['Privilege Escalation', 'Valid Accounts'],
  ],
  Container: [
    ['Execution', 'Container Administration Command'],
    ['Discovery', 'Container and Resource Discovery'],
  ],
  AppServices: [['Initial Access', 'Exploit Public-Facing Application']],
};
const LEVELS = ['Low', 'Moderate', 'High'] as const;

function metadataRow(rule: CatalogueRule): JsonObject {
  const random = randomAt('metadata', rule.key);
  const preview = random.chance(0.06);
  const retiring = random.chance(0.03);
  const tactics = TACTICS[rule.category] ?? [];
  const threats = THREATS[rule.category] ?? [];
  const properties: Record<string, Json | undefined> = {
    displayName: rule.title,
    policyDefinitionId: rule.policy === undefined ? undefined : policyReference(rule.policy, random.chance(0.3)),
    description: random.chance(0.04) ? '' : describe(rule),
    remediationDescription: random.chance(0.04) ? '' : remediate(rule, random.chance(0.2)),
    categories: [rule.category],
    severity: rule.severity,
    userImpact: random.pick(LEVELS),
    implementationEffort: random.pick(LEVELS),
    // Both spellings are seen (azure.md §1.3).
    threats: random.chance(0.25) ? threats.map(capitalised) : threats,
    publishDates: {
      GA: random.chance(0.9) ? `0${String(random.integer(1, 9))}/15/202${String(random.integer(1, 5))}` : undefined,
      public: '03/01/2021',
    },
    plannedDeprecationDate: retiring ? '03/2027' : undefined,
    tactics: tactics.map(([tactic]) => tactic),
    techniques: tactics.map(([, technique]) => technique),
    preview: preview ? true : undefined,
    assessmentType: rule.policy === undefined ? 'BuiltIn' : random.chance(0.1) ? 'BuiltInPolicy' : 'BuiltIn',
  };
  return {
    id: `/providers/Microsoft.Security/assessmentMetadata/${rule.key}`,
    name: rule.key,
    type: 'Microsoft.Security/assessmentMetadata',
    properties,
  };
}

function dynamicMetadataRow(rule: DynamicRule): JsonObject {
  return {
    id: `/providers/Microsoft.Security/assessmentMetadata/${rule.key}`,
    name: rule.key,
    type: 'Microsoft.Security/assessmentMetadata',
    properties: {
      displayName: rule.title,
      description: `${rule.title} on the machines where an outdated version was found.`,
      remediationDescription: '',
      categories: ['Compute'],
      severity: rule.severity,
      assessmentType: 'DynamicBuiltIn',
      recommendationCategory: rule.category,
    },
  };
}

/** Recordings mix the casing of this id (azure.md §1.1). */
function policyReference(policy: string, lower: boolean): string {
  return lower
    ? `/providers/microsoft.authorization/policydefinitions/${policy}`
    : `/providers/Microsoft.Authorization/policyDefinitions/${policy}`;
}

function describe(rule: CatalogueRule): string {
  return `${rule.title}. Defender for Cloud found resources of type ${rule.resourceType} that do not meet this recommendation. Following it lowers the risk that attackers use them to reach data or other resources.`;
}

function remediate(rule: CatalogueRule, escaped: boolean): string {
  const html = `To remediate: 1. Open the resource in the portal.<br>2. Under <b>Settings</b>, change what the recommendation names (${rule.title.toLowerCase()}).<br>3. Save. <a href="https://learn.microsoft.com/azure/defender-for-cloud/recommendations-reference">Learn more</a>`;
  return escaped ? html.replaceAll('<br>', '&lt;br&gt;') : html;
}
