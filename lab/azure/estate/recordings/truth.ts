import { arrayAt, objectAt, textAt, type JsonObject } from '../../json.ts';
import type { Estate, EstateTruth, StatusCounts } from '../model.ts';
import { policyTruth } from '../policy-truth.ts';

interface TruthInput {
  readonly estate: Estate;
  readonly subscriptionIds: readonly string[];
  readonly managementGroups: readonly string[];
  readonly metadataCap: number;
  /** Recorded Resource Graph rows of those subscriptions. */
  readonly graphRows: readonly JsonObject[];
}

/** Counts recorded rows as they were loaded. */
export function recordedTruth(input: TruthInput): EstateTruth {
  const { estate, subscriptionIds, managementGroups } = input;
  const scopes = new Set([
    ...subscriptionIds.map((id) => `/subscriptions/${id}`),
    ...managementGroups.map((name) => `/providers/microsoft.management/managementgroups/${name.toLowerCase()}`),
  ]);
  const metadata = new Set(estate.assessmentMetadata.map((row) => textAt(row, 'name').toLowerCase()));
  return {
    subscriptions: [...subscriptionIds],
    ...assessmentTruth(input, metadata),
    ...policyTruth({
      definitions: estate.policyDefinitions,
      sets: estate.policySetDefinitions,
      assignments: estate.policyAssignments,
      scopes,
    }),
    metadata: {
      keys: metadata.size,
      listed: Math.min(metadata.size, input.metadataCap),
      builtIn: estate.assessmentMetadata.filter((row) => textAt(row, 'properties', 'assessmentType') === 'BuiltIn').length,
      custom: estate.assessmentMetadata.filter((row) => textAt(row, 'properties', 'assessmentType') !== 'BuiltIn').length,
      dynamic: 0,
    },
    standards: standardsTruth(input),
    containers: containerTruth(input.graphRows),
    connectors: connectorTruth(subscriptionIds.flatMap((id) => estate.securityConnectors(id))),
  };
}

function addStatus(counts: StatusCounts, row: JsonObject): void {
  const code = textAt(row, 'properties', 'status', 'code');
  if (code === 'Healthy') counts.healthy += 1;
  else if (code === 'Unhealthy') counts.unhealthy += 1;
  else counts.notApplicable += 1;
}

function assessmentTruth(
  { estate, subscriptionIds }: TruthInput,
  metadata: ReadonlySet<string>,
): Pick<EstateTruth, 'assessments' | 'resources'> {
  const counts = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  const [resources, withResult, results, keys] = [new Set<string>(), new Set<string>(), new Set<string>(), new Set<string>()];
  let listed = 0;
  for (const subscriptionId of subscriptionIds) {
    const rows = estate.assessments(subscriptionId);
    for (let index = 0; index < rows.size; index += 1) {
      const row = rows.at(index);
      const details = objectAt(row, 'properties', 'resourceDetails');
      const resource = (textAt(details, 'id') || textAt(details, 'Id')).toLowerCase();
      const key = textAt(row, 'name').toLowerCase();
      listed += 1;
      resources.add(resource);
      keys.add(key);
      addStatus(counts, row);
      if (textAt(row, 'properties', 'status', 'code') === 'NotApplicable') continue;
      withResult.add(resource);
      results.add(`${resource}|${key}`);
    }
  }
  return {
    assessments: {
      listed,
      inScope: { ...counts, total: listed },
      outOfScope: 0,
      results: results.size,
      keys: keys.size,
      keysWithoutMetadata: [...keys].filter((key) => !metadata.has(key)).length,
    },
    resources: { listed: resources.size, inScope: resources.size, withResult: withResult.size },
  };
}

function standardsTruth({ estate, subscriptionIds }: TruthInput): EstateTruth['standards'] {
  const paid = subscriptionIds.filter((id) => estate.hasPaidPlan(id));
  const [names, controls, triples, standards, pairs, customPairs] = [
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
  ];
  for (const standard of paid.flatMap((id) => estate.regulatoryStandards(id))) {
    const name = textAt(standard.row, 'name').toLowerCase();
    names.add(name);
    for (const control of standard.controls) {
      const controlKey = `${name}|${textAt(control.row, 'name').toLowerCase()}`;
      controls.add(controlKey);
      for (const row of control.assessments) triples.add(`${controlKey}|${textAt(row, 'name').toLowerCase()}`);
    }
  }
  for (const row of subscriptionIds.flatMap((id) => estate.securityStandards(`/subscriptions/${id}`))) {
    const name = textAt(row, 'name').toLowerCase();
    standards.add(name);
    for (const assessment of arrayAt(row, 'properties', 'assessments')) {
      const pair = `${name}|${textAt(assessment, 'assessmentKey').toLowerCase()}`;
      pairs.add(pair);
      if (textAt(row, 'properties', 'standardType') === 'Custom') customPairs.add(pair);
    }
  }
  return {
    regulatory: names.size,
    controls: controls.size,
    triples: triples.size,
    securityStandards: standards.size,
    securityStandardPairs: pairs.size,
    customStandardPairs: customPairs.size,
    notApplicableSubscriptions: subscriptionIds.length - paid.length,
  };
}

function containerTruth(graphRows: readonly JsonObject[]): EstateTruth['containers'] {
  const byStatus = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  const [rows, images, byRepository, byDigest, packages, findings, cves] = Array.from({ length: 7 }, () => new Set<string>()) as [
    Set<string>,
    Set<string>,
    Set<string>,
    Set<string>,
    Set<string>,
    Set<string>,
    Set<string>,
  ];
  const served = graphRows.filter(isContainerRow);
  for (const row of served) {
    const id = textAt(row, 'id').toLowerCase();
    if (rows.has(id)) continue;
    rows.add(id);
    addStatus(byStatus, row);
    const extra = parsedObject(textAt(row, 'properties', 'resourceAdditionalData'));
    const digest = textAt(extra, 'Digest');
    const repository = textAt(extra, 'RepositoryDetails', 'RepositoryName');
    const image = `${registryOf(row)}/${repository}@${digest}`;
    images.add(image);
    byRepository.add(`${repository}@${digest}`);
    byDigest.add(digest);
    const data = objectAt(row, 'properties', 'additionalData');
    for (const version of textAt(data, 'DetectedSoftwareVersions')
      .split(',')
      .map((part) => part.trim())) {
      const found = `${image}|${textAt(data, 'SoftwareName')}|${version}`;
      packages.add(found);
      if (textAt(row, 'properties', 'status', 'code') !== 'Unhealthy') continue;
      for (const cve of JSON.parse(textAt(data, 'CvesDetails') || '[]') as { CveId: string }[]) {
        cves.add(cve.CveId);
        findings.add(`${found}|${cve.CveId}`);
      }
    }
  }
  return {
    rows: rows.size,
    byStatus,
    rowsServed: served.length,
    images: images.size,
    imagesByRepositoryDigest: byRepository.size,
    imagesByDigest: byDigest.size,
    packages: packages.size,
    findings: findings.size,
    cves: cves.size,
  };
}

function isContainerRow(row: JsonObject): boolean {
  const type = textAt(row, 'properties', 'resourceDetails', 'ResourceType').toLowerCase();
  return (
    textAt(row, 'properties', 'metadata', 'recommendationCategory') === 'SoftwareUpdate' &&
    (type === '.containerimage' || type === 'k8s-container')
  );
}

/** Azure names the registry in the image's id, AWS in the native id; a running container's row names none. */
function registryOf(row: JsonObject): string {
  const details = objectAt(row, 'properties', 'resourceDetails');
  const registry = /\/registries\/([^/]+)\//i.exec(textAt(details, 'Id'))?.[1];
  if (registry !== undefined) return registry.toLowerCase();
  const [, region, account] = /^arn:aws:ecr:([^:]+):([^:]+):/.exec(textAt(details, 'NativeResourceId')) ?? [];
  return region === undefined || account === undefined ? '' : `${account}.dkr.ecr.${region}.amazonaws.com`;
}

function parsedObject(text: string): JsonObject {
  return text === '' ? {} : (JSON.parse(text) as JsonObject);
}

function connectorTruth(rows: readonly JsonObject[]): EstateTruth['connectors'] {
  const clouds = rows.filter((row) => ['AWS', 'GCP'].includes(textAt(row, 'properties', 'environmentName').toUpperCase()));
  return { all: rows.length, awsAndGcp: clouds.length };
}
