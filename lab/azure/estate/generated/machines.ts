import type { JsonObject } from '../../json.ts';
import type { DynamicRule } from '../catalogue/catalogue.ts';
import type { Presence } from '../content-changes.ts';
import { rowsOf, type GraphPartition, type Rows } from '../model.ts';
import { graphDetails, graphEnvelope, recased, spelt, type RowContext } from './assessment-rows.ts';
import { hash32 } from './hash.ts';
import type { Layout } from './layout.ts';
import type { Resource } from './naming.ts';
import { presentRows } from './present-rows.ts';
import { statusMember, statusOf, type Status } from './status.ts';
import { MACHINE_STREAM, placeOf } from './streams.ts';

/** Individual machine recommendations per hundred classic assessments. They are listed over REST too; no test comes of them. */
const MACHINE_SHARE_PERCENT = 1;
const RULES_PER_MACHINE = 3;
/** What each category is about (azure.md §1.6). */
const ASSESSED_TYPE: Readonly<Record<DynamicRule['category'], string>> = {
  SoftwareUpdate: 'Microsoft.Compute/virtualMachines',
  SystemUpdate: 'Microsoft.Compute/virtualMachines',
  ServiceUpgrade: 'Microsoft.ContainerService/managedClusters',
};

interface MachineRow {
  readonly resource: Resource;
  readonly rule: DynamicRule;
  readonly ordinal: number;
}

/** Where a row is: numbers, so that no row has to be kept. */
interface Planned {
  readonly block: number;
  readonly index: number;
  readonly rule: number;
}

/** SoftwareUpdate, SystemUpdate and ServiceUpgrade on machines and clusters (azure.md §1.6). */
export interface MachineEstate {
  /** As the REST list gives them. */
  readonly listed: Rows;
  readonly partitions: readonly GraphPartition[];
  /** Resources that only these rows mention, because their other assessments went away. */
  readonly countAlone: () => number;
  /** The row with this lower-case id, be it there or gone. */
  find(id: string): { stream: number; ordinal: number } | undefined;
}

export function createMachines(input: {
  context: RowContext;
  layout: Layout;
  classicRows: number;
  rules: readonly DynamicRule[];
  presence: Presence;
}): MachineEstate {
  const { context, layout, rules, presence } = input;
  const wanted = Math.floor((input.classicRows * MACHINE_SHARE_PERCENT) / 100);
  const planned = planRows(layout, rules, wanted);
  const rowAt = (ordinal: number): MachineRow => {
    const { block, index, rule } = rowsOf(planned).at(ordinal);
    return { resource: rowsOf(layout.resourcesOf(block)).at(index), rule: rowsOf(rules).at(rule), ordinal };
  };
  const statusAt = ({ ordinal }: MachineRow): Status => statusOf(context.seed, MACHINE_STREAM, ordinal, context.changes);
  const isPresent = (ordinal: number): boolean => {
    const { block, index } = rowsOf(planned).at(ordinal);
    return presence.hasRow(MACHINE_STREAM, ordinal) && presence.hasResource(placeOf(block, index));
  };
  const rowsInOrder = (ordinals: readonly number[], row: (row: MachineRow) => JsonObject): Rows =>
    presentRows({
      size: ordinals.length,
      at: (position) => row(rowAt(ordinals[position] ?? 0)),
      isPresent: (position) => isPresent(ordinals[position] ?? 0),
      version: presence.version,
    });
  const all = [...planned.keys()];
  return {
    listed: rowsInOrder(all, (row) => machineRestRow(context, row, statusAt(row))),
    countAlone: () => {
      if (presence.version() === 0) return 0;
      const alone = planned.filter(({ block, index }, ordinal) => isPresent(ordinal) && !layout.hasRowsAt(block, index));
      return new Set(alone.map(({ block, index }) => placeOf(block, index))).size;
    },
    find: (id) => {
      const ordinal = all.find((candidate) => sortKey(rowAt(candidate)) === id);
      return ordinal === undefined ? undefined : { stream: MACHINE_STREAM, ordinal };
    },
    partitions: [...Map.groupBy(all, (ordinal) => rowAt(ordinal).rule.category)].map(([category, ofCategory]) => {
      const keys = new Map(ofCategory.map((ordinal) => [ordinal, sortKey(rowAt(ordinal))]));
      const sorted = ofCategory.toSorted((left, right) => ((keys.get(left) ?? '') < (keys.get(right) ?? '') ? -1 : 1));
      return {
        table: 'securityresources',
        subscriptionId: context.subscriptionId,
        idPrefix: `/subscriptions/${context.subscriptionId}`,
        constants: new Map([
          ['type', 'microsoft.security/assessments'],
          ['subscriptionId', context.subscriptionId],
          ['properties.metadata.recommendationCategory', category],
          ['properties.metadata.assessmentType', 'DynamicBuiltIn'],
          ['properties.resourceDetails.Source', 'Azure'],
          ['properties.resourceDetails.ResourceType', ASSESSED_TYPE[category].toLowerCase()],
        ]),
        rows: rowsInOrder(sorted, (row) => machineGraphRow(context, row, statusAt(row))),
      };
    }),
  };
}

/** Walks the blocks until there are enough: three rules per machine, one per cluster. */
function planRows(layout: Layout, rules: readonly DynamicRule[], wanted: number): Planned[] {
  const ofMachines = [...rules.keys()].filter((rule) => rules[rule]?.category !== 'ServiceUpgrade');
  const ofClusters = [...rules.keys()].filter((rule) => rules[rule]?.category === 'ServiceUpgrade');
  const rows: Planned[] = [];
  for (let block = 0; block < layout.blockCount && rows.length < wanted; block += 1) {
    for (const [index, { type }] of layout.resourcesOf(block).entries()) {
      const applicable =
        type === ASSESSED_TYPE.SoftwareUpdate
          ? ofMachines.filter((_rule, position) => (position + block) % ofMachines.length < RULES_PER_MACHINE)
          : type === ASSESSED_TYPE.ServiceUpgrade
            ? ofClusters
            : [];
      for (const rule of applicable) if (rows.length < wanted) rows.push({ block, index, rule });
    }
  }
  return rows;
}

function sortKey({ resource, rule }: MachineRow): string {
  return `${resource.id.toLowerCase()}/providers/microsoft.security/assessments/${rule.key}`;
}

function machineRestRow(context: RowContext, row: MachineRow, status: Status): JsonObject {
  const draw = hash32(context.seed, MACHINE_STREAM, row.ordinal, 5);
  return {
    id: `${recased(row.resource.id, spelt(draw, context.changes))}/providers/Microsoft.Security/assessments/${row.rule.key}`,
    name: row.rule.key,
    type: 'Microsoft.Security/assessments',
    properties: {
      displayName: row.rule.title,
      resourceDetails: { Source: 'Azure', Id: row.resource.id },
      status: statusMember(status),
      additionalData: softwareData(row.rule),
    },
  };
}

function machineGraphRow(context: RowContext, row: MachineRow, status: Status): JsonObject {
  const { resource, rule } = row;
  return graphEnvelope(context, {
    id: `${resource.id}/providers/microsoft.security/assessments/${rule.key}`,
    name: rule.key,
    resourceGroup: resource.resourceGroup,
    properties: {
      displayName: rule.title,
      status: statusMember(status),
      resourceDetails: graphDetails(resource),
      additionalData: softwareData(rule),
      metadata: {
        displayName: rule.title,
        assessmentType: 'DynamicBuiltIn',
        severity: rule.severity,
        recommendationCategory: rule.category,
        categories: ['Compute'],
      },
      risk: { level: rule.severity, riskFactors: [] },
    },
  });
}

function softwareData(rule: DynamicRule): JsonObject {
  return {
    SoftwareName: rule.title.replace(/^(?:Update|Install|Upgrade) /, ''),
    DetectedSoftwareVersions: '1.0.0',
    FixedVersion: '1.0.1',
    FixStatus: 'FixAvailable',
    CvesDetails: rule.category === 'SoftwareUpdate' ? JSON.stringify([{ CveId: 'CVE-2024-6345' }]) : undefined,
  };
}
