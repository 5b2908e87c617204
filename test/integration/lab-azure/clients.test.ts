import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PolicyClient } from '@azure/arm-policy';
import { ResourceGraphClient } from '@azure/arm-resourcegraph';
import { SubscriptionClient } from '@azure/arm-resources-subscriptions';
import { SecurityCenter } from '@azure/arm-security';
import { ClientSecretCredential } from '@azure/identity';
import { admin, startTestLab, type TestLab, type Wire } from './helpers.ts';

let lab: TestLab;
let credential: ClientSecretCredential;
let options: { endpoint: string; tlsOptions: { ca: string } };
let truth: Wire;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:2:2500' });
  const { tenantId, clientId, clientSecret } = lab.tenant('A');
  const tlsOptions = { ca: lab.authority.caPem };
  credential = new ClientSecretCredential(tenantId, clientId, clientSecret, {
    authorityHost: lab.lab.urls.authority,
    disableInstanceDiscovery: true,
    tlsOptions,
  });
  options = { endpoint: lab.lab.urls.arm, tlsOptions };
  truth = (await admin(lab, 'GET', '/azure/estate')).body.deployments.A;
});
afterAll(() => lab.close());

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

describe('Microsoft’s own clients, unmodified (server.md, azure.md §3.3, §5)', () => {
  test('@azure/identity gets a token', async () => {
    const token = await credential.getToken('https://management.azure.com/.default');
    expect(token.expiresOnTimestamp).toBeGreaterThan(Date.now());
  });

  test('@azure/identity reports a wrong secret with the AADSTS text (azure.md §3.4)', async () => {
    const { tenantId, clientId } = lab.tenant('A');
    const wrong = new ClientSecretCredential(tenantId, clientId, 'wrong', {
      authorityHost: lab.lab.urls.authority,
      disableInstanceDiscovery: true,
      tlsOptions: options.tlsOptions,
    });
    await expect(wrong.getToken('https://management.azure.com/.default')).rejects.toThrow(/invalid_client.*AADSTS7000215/s);
  });

  test('@azure/arm-resources-subscriptions lists subscriptions and tenants', async () => {
    const client = new SubscriptionClient(credential, options);
    const ids = (await all(client.subscriptions.list())).map(({ subscriptionId }) => subscriptionId);
    expect(ids).toEqual(lab.tenant('A').subscriptions);
    expect((await all(client.tenants.list())).map(({ tenantId }) => tenantId)).toEqual([lab.tenant('A').tenantId]);
  });

  test('@azure/arm-policy reads definitions, sets and assignments; its scope is the lab’s own URL', async () => {
    const client = new PolicyClient(credential, lab.tenant('A').subscriptions[0] ?? '', options);
    expect((await all(client.policyDefinitions.listBuiltIn())).length).toBeGreaterThan(300);
    expect((await all(client.policySetDefinitions.list())).length).toBe(truth.policySets.all);
    expect((await all(client.policyAssignments.list())).length).toBeGreaterThan(2);
  });

  test('@azure/arm-security reads metadata, assessments, compliance, pricings and connectors', async () => {
    const [subscriptionId = ''] = lab.tenant('A').subscriptions;
    const client = new SecurityCenter(credential, subscriptionId, { ...options, $host: options.endpoint });
    const rows = await all(client.assessments.list(`subscriptions/${subscriptionId}`));
    expect(rows.length).toBeGreaterThan(900);
    expect(rows.every(({ status }) => status !== undefined)).toBe(true);
    expect((await all(client.assessmentsMetadata.list())).length).toBeGreaterThan(400);
    expect((await all(client.regulatoryComplianceStandards.list())).length).toBe(4);
    expect((await client.pricings.list()).value.length).toBeGreaterThan(5);
    expect((await all(client.securityConnectors.list())).length).toBeGreaterThan(0);
  });

  test('@azure/arm-resourcegraph pages with its skip token', async () => {
    const client = new ResourceGraphClient(credential, options);
    const query = "securityresources | where type == 'microsoft.security/assessments' | project id | order by id asc";
    let rows = 0;
    let skipToken: string | undefined;
    do {
      const page = await client.resources({ query, options: { top: 700, ...(skipToken === undefined ? {} : { skipToken }) } });
      rows += page.count;
      skipToken = page.skipToken;
    } while (skipToken !== undefined);
    expect(rows).toBe((truth.assessments.listed as number) + (truth.containers.rowsServed as number));
  });
});
