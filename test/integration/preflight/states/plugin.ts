/** ServiceNow's own plugin, as the lab plays it beside us. */
import type { Labs } from '../labs.ts';

export const assessments = 'Microsoft Defender for Cloud Assessment Integration';

export interface Installed {
  readonly instance: string;
  readonly integrations: readonly { readonly integration: string; readonly name: string; readonly dataSource: string }[];
}

/** Another estate: beside it we are no two writers. */
export const elsewhere = { tenantId: '99999999-0000-4000-8000-000000000000' };

export const admin = (labs: Labs, path: string, body: unknown): Promise<unknown> =>
  labs.serviceNow.admin('POST', `/servicenow${path}`, body);

export async function install(labs: Labs, form: object): Promise<Installed> {
  return (await admin(labs, '/play/plugin/install', form)) as Installed;
}

export async function edit(labs: Labs, table: string, sysId: string, values: Readonly<Record<string, string>>): Promise<void> {
  await admin(labs, '/play/administrator/edit', { table, sys_id: sysId, values });
}

/** The assessments of the plugin run as somebody else, who may attach and not delete. Returns its record and data source. */
export async function runAsHelper(
  labs: Labs,
  { integrations }: Installed,
): Promise<{ readonly integration: string; readonly dataSource: string }> {
  const { rows } = await labs.serviceNow.admin('POST', '/servicenow/rows/sys_user', { user_name: 'helper', active: 'true' });
  await admin(labs, '/play/administrator/grant-role', { user: 'helper', role: 'import_admin' });
  const found = integrations.find(({ name }) => name === assessments);
  if (found === undefined) throw new Error('The plugin has no assessments.');
  await edit(labs, 'sn_vul_integration', found.integration, { run_as: rows[0]?.['sys_id'] ?? '' });
  return found;
}

/** Runs of the plugin, each with one page. */
export async function runPlugin(labs: Labs, times: number, more: object = {}): Promise<void> {
  for (let n = 0; n < times; n += 1) await admin(labs, '/play/plugin/run', { integration: assessments, pages: [{}], ...more });
}

/** The record of a table whose column has this value. */
export async function sysIdOf(labs: Labs, table: string, column: string, value: string): Promise<string> {
  const { rows } = await labs.serviceNow.admin('GET', `/servicenow/rows/${table}`);
  return rows.find((row) => row[column] === value)?.['sys_id'] ?? '';
}
