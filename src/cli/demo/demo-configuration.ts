/** A configuration file for the lab, like the one a person writes: secrets in files of their own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadConfiguration, type Configuration } from '../../config/index.ts';
import type { LabFile } from './lab-process.ts';

/**
 * Writes `<dir>/defender-sync.yaml` and `<dir>/secrets/`, and loads it. The file works with every other command too (`--config`).
 * One deployment per tenant entry of the lab, named a, b, c …
 */
export function writeDemoConfiguration(dir: string, lab: LabFile): Configuration {
  const secretsDir = join(dir, 'secrets');
  mkdirSync(secretsDir, { recursive: true, mode: 0o700 });
  const secret = (name: string, value: string): { readonly file: string } => {
    writeFileSync(join(secretsDir, name), value, { mode: 0o600 });
    return { file: join('secrets', name) };
  };
  const file = join(dir, 'defender-sync.yaml');
  const comment = '# Written by the demo at each start; a copy of your own is the better place for changes.\n';
  writeFileSync(file, comment + stringify(contentFor(lab, secret), { lineWidth: 0 }));
  return loadConfiguration(file);
}

function contentFor(lab: LabFile, secret: (name: string, value: string) => { readonly file: string }): object {
  const [client] = lab.serviceNow.oauthClients;
  return {
    stateDir: '.',
    serviceNow: {
      url: lab.serviceNow.url,
      caFile: lab.serviceNow.caFile,
      auth: {
        type: 'client-credentials',
        clientId: client?.clientId,
        clientSecret: secret('servicenow-client', client?.clientSecret ?? ''),
      },
    },
    deployments: lab.azure.tenants.map((tenant, index) => {
      const name = deploymentNameAt(index);
      return {
        name,
        azure: {
          cloud: 'custom',
          authorityHost: lab.azure.authority,
          resourceManager: lab.azure.arm,
          graph: lab.azure.graph,
          caFile: lab.azure.caFile,
          tenantId: tenant.tenantId,
          clientId: tenant.clientId,
          credential: { clientSecret: secret(`azure-client-${name}`, tenant.clientSecret) },
        },
        // A management group sees what subscriptions of their own cannot: the details of CVEs.
        scope: tenant.managementGroups.length > 0 ? { managementGroups: tenant.managementGroups } : { subscriptions: tenant.subscriptions },
      };
    }),
  };
}

/** a, b … z, then deployment-27 and on. */
export function deploymentNameAt(index: number): string {
  return index < 26 ? String.fromCodePoint(0x61 + index) : `deployment-${index + 1}`;
}
