/** docs/permissions.md: the least that each feature needs, from the catalogue. `npm run docs` writes it, `npm run check` compares it. */
import { catalogue } from './catalogue.ts';
import type { Check, RequiredPermission } from './types.ts';

const systems: readonly RequiredPermission['system'][] = ['Azure RBAC', 'Microsoft Graph', 'ServiceNow', 'PostgreSQL', 'Temporal'];

interface Entry extends Omit<RequiredPermission, 'grantedBy'> {
  readonly checks: readonly string[];
  readonly grantedBy: readonly string[];
}

/** The whole page, ending in a line break. Checks that need the same thing for the same feature share a row. */
export function permissionsPage(checks: readonly Check[] = catalogue): string {
  const entries = entriesOf(checks);
  const sections = systems.flatMap((system) => {
    const rows = entries.filter((entry) => entry.system === system);
    return rows.length === 0 ? [] : [sectionOf(system, rows)];
  });
  return [
    '# Permissions',
    '',
    '<!-- Made from the checks of src/preflight by `npm run docs`. Do not edit: `npm run check` compares it. -->',
    '',
    'The least that each feature needs. `defender-sync doctor` verifies every row by the check named in it, and says what is missing, who can grant it, and how.',
    '',
    ...sections,
  ].join('\n');
}

function entriesOf(checks: readonly Check[]): readonly Entry[] {
  const entries = new Map<string, Entry>();
  for (const { id, fixedBy, permissions = [] } of checks) {
    for (const permission of permissions) {
      const { feature, system, where } = permission;
      const key = JSON.stringify([system, feature, permission.permission, where]);
      const known = entries.get(key);
      entries.set(key, {
        ...permission,
        checks: [...(known?.checks ?? []), id],
        grantedBy: [...new Set([...(known?.grantedBy ?? []), permission.grantedBy ?? fixedBy])],
      });
    }
  }
  return [...entries.values()];
}

function sectionOf(system: string, rows: readonly Entry[]): string {
  const features = [...new Set(rows.map(({ feature }) => feature))];
  const lines = features.flatMap((feature) =>
    rows
      .filter((row) => row.feature === feature)
      .map(({ permission, where, checks, grantedBy }) =>
        rowOf([feature, permission, where, grantedBy.join('; '), checks.map((check) => `\`${check}\``).join(', ')]),
      ),
  );
  const head = ['feature', 'permission', 'where', 'granted by', 'verified by'];
  return [`## ${system}`, '', rowOf(head), rowOf(head.map(() => '---')), ...lines, ''].join('\n');
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim()).join(' | ')} |`;
}
