import type { JsonObject } from '../../json.ts';
import type { DynamicRule } from '../catalogue/catalogue.ts';
import type { GraphPartition, Rows } from '../model.ts';
import { rowsOf } from '../model.ts';
import { graphDetails, graphEnvelope, recased, spelt, type RowContext } from './assessment-rows.ts';
import { hash32 } from './hash.ts';
import type { Layout } from './layout.ts';
import type { Resource } from './naming.ts';
import { statusMember, statusOf, type Status } from './status.ts';

/** Individual machine recommendations per hundred classic assessments. They are listed over REST too; no test comes of them. */
const MACHINE_SHARE_PERCENT = 1;
const MACHINE_STREAM = 3;
const RULES_PER_MACHINE = 3;

interface MachineRow {
  readonly resource: Resource;
  readonly rule: DynamicRule;
  readonly ordinal: number;
}

/** SoftwareUpdate, SystemUpdate and ServiceUpgrade on machines and clusters (azure.md §1.6). */
export interface MachineEstate {
  readonly rows: readonly MachineRow[];
  /** As the REST list gives them. */
  restRows(): Rows;
  readonly partitions: readonly GraphPartition[];
}

export function createMachines(input: {
  context: RowContext;
  layout: Layout;
  classicRows: number;
  rules: readonly DynamicRule[];
}): MachineEstate {
  const { context, layout, rules } = input;
  const wanted = Math.floor((input.classicRows * MACHINE_SHARE_PERCENT) / 100);
  const rows = planRows(layout, rules, wanted);
  const statusAt = ({ ordinal }: MachineRow): Status => statusOf(context.seed, MACHINE_STREAM, ordinal, context.changes);
  return {
    rows,
    restRows: () => ({
      size: rows.length,
      at: (index) => machineRestRow(context, rowsOf(rows).at(index), statusAt(rowsOf(rows).at(index))),
    }),
    partitions: [...Map.groupBy(rows, ({ rule }) => rule.category)].map(([category, ofCategory]) => {
      const sorted = ofCategory.toSorted((left, right) => (sortKey(left) < sortKey(right) ? -1 : 1));
      return {
        table: 'securityresources',
        subscriptionId: context.subscriptionId,
        constants: new Map([
          ['type', 'microsoft.security/assessments'],
          ['subscriptionId', context.subscriptionId],
          ['properties.metadata.recommendationCategory', category],
          ['properties.metadata.assessmentType', 'DynamicBuiltIn'],
          ['properties.resourceDetails.Source', 'Azure'],
        ]),
        rows: {
          size: sorted.length,
          at: (index) => machineGraphRow(context, rowsOf(sorted).at(index), statusAt(rowsOf(sorted).at(index))),
        },
      };
    }),
  };
}

/** Walks the blocks until there are enough: three rules per machine, one per cluster. */
function planRows(layout: Layout, rules: readonly DynamicRule[], wanted: number): MachineRow[] {
  const ofMachines = rules.filter(({ category }) => category !== 'ServiceUpgrade');
  const ofClusters = rules.filter(({ category }) => category === 'ServiceUpgrade');
  const rows: MachineRow[] = [];
  for (let block = 0; block < layout.blockCount && rows.length < wanted; block += 1) {
    for (const resource of layout.resourcesOf(block)) {
      const applicable =
        resource.type === 'Microsoft.Compute/virtualMachines'
          ? ofMachines.filter((_rule, index) => (index + block) % ofMachines.length < RULES_PER_MACHINE)
          : resource.type === 'Microsoft.ContainerService/managedClusters'
            ? ofClusters
            : [];
      for (const rule of applicable) if (rows.length < wanted) rows.push({ resource, rule, ordinal: rows.length });
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
