import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PolicyClient } from '@azure/arm-policy';
import { ResourceGraphClient } from '@azure/arm-resourcegraph';
import { SubscriptionClient } from '@azure/arm-resources-subscriptions';
import { SecurityCenter } from '@azure/arm-security';
import { ClientSecretCredential, type ClientSecretCredentialOptions } from '@azure/identity';
import { admin, startTestLab, type TestLab, type Wire } from './helpers.ts';

type AdditionalPolicies = NonNullable<ClientSecretCredentialOptions['additionalPolicies']>;

/** How a client gets to the lab: options of the credential, options of every ARM client. */
interface Configuration {
  readonly credential: ClientSecretCredentialOptions;
  readonly client: {
    readonly endpoint?: string;
    readonly $host?: string;
    readonly tlsOptions?: { ca: string };
    readonly additionalPolicies?: AdditionalPolicies;
  };
}

let lab: TestLab;
let truth: Wire;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:2:2500', options: { throttling: 'headers' } });
  truth = (await admin(lab, 'GET', '/azure/estate')).body.deployments.A;
});
afterAll(() => lab.close());

/** The endpoint options that a sovereign or custom cloud is configured with. */
function customCloud(): Configuration {
  const { authority, arm } = lab.lab.urls;
  const tlsOptions = { ca: lab.authority.caPem };
  return {
    credential: { authorityHost: authority, disableInstanceDiscovery: true, tlsOptions },
    client: { endpoint: arm, $host: arm, tlsOptions },
  };
}

/** Resolves the names of the public cloud to the lab; everything above the socket is as in production. */
class ResolvedToLab extends Agent {
  readonly #ports: ReadonlyMap<string, string>;

  constructor(options: AgentOptions, ports: ReadonlyMap<string, string>) {
    super(options);
    this.#ports = ports;
  }

  override createConnection(
    options: AgentOptions & { host?: string },
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { host = '' } = options;
    const port = this.#ports.get(host);
    if (port === undefined) throw new Error(`A client asked for ${host}, which is no host of the public cloud.`);
    return super.createConnection({ ...options, host: '127.0.0.1', port: Number(port), servername: host }, callback);
  }
}

let agent: ResolvedToLab | undefined;
afterAll(() => {
  agent?.destroy();
});

/** No endpoint at all: the clients' own defaults, with the lab's certificate authority trusted. */
function publicCloud(): Configuration {
  const { authority, arm } = lab.lab.urls;
  const ports = new Map([
    ['login.microsoftonline.com', new URL(authority).port],
    ['management.azure.com', new URL(arm).port],
  ]);
  agent = new ResolvedToLab({ ca: lab.authority.caPem, keepAlive: true }, ports);
  const resolved = agent;
  const additionalPolicies: AdditionalPolicies = [
    {
      position: 'perRetry',
      policy: {
        name: 'resolvedToLab',
        sendRequest: (request, next) => {
          request.agent = resolved;
          return next(request);
        },
      },
    },
  ];
  return { credential: { additionalPolicies }, client: { additionalPolicies } };
}

interface Clients {
  readonly credential: ClientSecretCredential;
  readonly subscriptions: SubscriptionClient;
  readonly policy: PolicyClient;
  readonly security: SecurityCenter;
  readonly graph: ResourceGraphClient;
  readonly subscriptionId: string;
}

function clientsOf({ credential: options, client }: Configuration): Clients {
  const { tenantId, clientId, clientSecret, subscriptions } = lab.tenant('A');
  const [subscriptionId = ''] = subscriptions;
  const credential = new ClientSecretCredential(tenantId, clientId, clientSecret, options);
  return {
    credential,
    subscriptions: new SubscriptionClient(credential, client),
    policy: new PolicyClient(credential, subscriptionId, client),
    security: new SecurityCenter(credential, subscriptionId, client),
    graph: new ResourceGraphClient(credential, client),
    subscriptionId,
  };
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function first<T>(pages: AsyncIterable<T>): Promise<T> {
  for await (const item of pages) return item;
  throw new Error('The list is empty.');
}

const groupOf = (id = ''): string => id.split('/')[4] ?? '';
const MANAGEMENT_GROUP = 'fabrikam-shared';
const ROWS = "securityresources | where type == 'microsoft.security/assessments' | project id | order by id asc";

/** What a call came back with: how many rows, or whether the one item is the one that was asked for. */
type Call = (clients: Clients) => Promise<number | boolean>;

async function standardAndControl({ security }: Clients): Promise<[standard: string, control: string]> {
  const standard = (await first(security.regulatoryComplianceStandards.list())).name ?? '';
  return [standard, (await first(security.regulatoryComplianceControls.list(standard))).name ?? ''];
}

const CALLS: Readonly<Record<string, Call>> = {
  'identity getToken': async ({ credential }) =>
    (await credential.getToken('https://management.azure.com/.default')).expiresOnTimestamp > Date.now(),

  'tenants.list': async ({ subscriptions }) => (await first(subscriptions.tenants.list())).tenantId === lab.tenant('A').tenantId,
  'subscriptions.list': async ({ subscriptions }) => (await all(subscriptions.subscriptions.list())).length,
  'subscriptions.get': async ({ subscriptions, subscriptionId }) =>
    (await subscriptions.subscriptions.get(subscriptionId)).subscriptionId === subscriptionId,
  'subscriptions.listLocations': async ({ subscriptions, subscriptionId }) =>
    (await all(subscriptions.subscriptions.listLocations(subscriptionId))).length,

  'policyDefinitions.list': async ({ policy }) => (await all(policy.policyDefinitions.list())).length,
  'policyDefinitions.listBuiltIn': async ({ policy }) => (await all(policy.policyDefinitions.listBuiltIn())).length,
  'policyDefinitions.listBuiltIn filtered': async ({ policy }) =>
    (await all(policy.policyDefinitions.listBuiltIn({ filter: "category eq 'Security Center'" }))).length,
  'policyDefinitions.listByManagementGroup': async ({ policy }) =>
    (await all(policy.policyDefinitions.listByManagementGroup(MANAGEMENT_GROUP))).length,
  'policyDefinitions.getBuiltIn': async ({ policy }) => {
    const { name = '' } = await first(policy.policyDefinitions.listBuiltIn());
    return (await policy.policyDefinitions.getBuiltIn(name)).name === name;
  },
  'policyDefinitions.get': async ({ policy }) => (await policy.policyDefinitions.get('audit-sku')).name === 'audit-sku',
  'policySetDefinitions.list': async ({ policy }) => (await all(policy.policySetDefinitions.list())).length === truth.policySets.all,
  'policySetDefinitions.listBuiltIn': async ({ policy }) => (await all(policy.policySetDefinitions.listBuiltIn())).length,
  'policySetDefinitions.listByManagementGroup': async ({ policy }) =>
    (await all(policy.policySetDefinitions.listByManagementGroup(MANAGEMENT_GROUP))).length,
  'policySetDefinitions.getBuiltIn': async ({ policy }) => {
    const { name = '' } = await first(policy.policySetDefinitions.listBuiltIn());
    return (await policy.policySetDefinitions.getBuiltIn(name)).name === name;
  },
  'policyAssignments.list': async ({ policy }) => (await all(policy.policyAssignments.list())).length,
  'policyAssignments.listForManagementGroup': async ({ policy }) =>
    (await all(policy.policyAssignments.listForManagementGroup(MANAGEMENT_GROUP, { filter: 'atScope()' }))).length,
  'policyAssignments.listForResourceGroup': async ({ policy, security }) => {
    const { id } = await first(security.securityConnectors.list());
    return (await all(policy.policyAssignments.listForResourceGroup(groupOf(id)))).length;
  },
  'policyAssignments.get': async ({ policy, subscriptionId }) =>
    (await policy.policyAssignments.get(`subscriptions/${subscriptionId}`, 'SecurityCenterBuiltIn')).name === 'SecurityCenterBuiltIn',

  'assessments.list': async ({ security, subscriptionId }) => {
    const rows = await all(security.assessments.list(`subscriptions/${subscriptionId}`));
    return rows.every(({ status }) => status !== undefined) ? rows.length : false;
  },
  'assessments.list of a management group': async ({ security }) =>
    (await all(security.assessments.list(`providers/Microsoft.Management/managementGroups/${MANAGEMENT_GROUP}`))).length,
  'assessments.get with metadata': async ({ security, subscriptionId }) => {
    const row = await first(security.assessments.list(`subscriptions/${subscriptionId}`));
    const [resource = ''] = (row.id ?? '').split(/\/providers\/Microsoft\.Security\/assessments\//i);
    const single = await security.assessments.get(resource.slice(1), row.name ?? '', { expand: 'metadata' });
    return single.name === row.name && single.metadata !== undefined;
  },
  'assessmentsMetadata.list': async ({ security }) => (await all(security.assessmentsMetadata.list())).length,
  'assessmentsMetadata.listBySubscription': async ({ security }) => (await all(security.assessmentsMetadata.listBySubscription())).length,
  'assessmentsMetadata.get': async ({ security }) => {
    const { name = '' } = await first(security.assessmentsMetadata.list());
    return (await security.assessmentsMetadata.get(name)).name === name;
  },
  'assessmentsMetadata.getInSubscription': async ({ security }) => {
    const { name = '' } = await first(security.assessmentsMetadata.listBySubscription());
    return (await security.assessmentsMetadata.getInSubscription(name)).name === name;
  },
  'pricings.list': async ({ security }) => (await security.pricings.list()).value.length,
  'pricings.get': async ({ security }) => (await security.pricings.get('Containers')).pricingTier === 'Standard',
  'regulatoryComplianceStandards.list': async ({ security }) => (await all(security.regulatoryComplianceStandards.list())).length,
  'regulatoryComplianceStandards.get': async (clients) => {
    const [standard] = await standardAndControl(clients);
    return (await clients.security.regulatoryComplianceStandards.get(standard)).state !== undefined;
  },
  'regulatoryComplianceControls.list': async (clients) => {
    const [standard] = await standardAndControl(clients);
    return (await all(clients.security.regulatoryComplianceControls.list(standard))).length;
  },
  'regulatoryComplianceControls.get': async (clients) => {
    const [standard, control] = await standardAndControl(clients);
    return (await clients.security.regulatoryComplianceControls.get(standard, control)).name === control;
  },
  'regulatoryComplianceAssessments.list': async (clients) =>
    (await all(clients.security.regulatoryComplianceAssessments.list(...(await standardAndControl(clients))))).length,
  'regulatoryComplianceAssessments.get': async (clients) => {
    const at = await standardAndControl(clients);
    const { name = '' } = await first(clients.security.regulatoryComplianceAssessments.list(...at));
    return (await clients.security.regulatoryComplianceAssessments.get(...at, name)).name === name;
  },
  'securityConnectors.list': async ({ security }) => (await all(security.securityConnectors.list())).length,
  'securityConnectors.listByResourceGroup': async ({ security }) => {
    const { id } = await first(security.securityConnectors.list());
    return (await all(security.securityConnectors.listByResourceGroup(groupOf(id)))).length;
  },
  'securityConnectors.get': async ({ security }) => {
    const { id, name = '' } = await first(security.securityConnectors.list());
    return (await security.securityConnectors.get(groupOf(id), name)).name === name;
  },
  'subAssessments.listAll': async ({ security, subscriptionId }) =>
    (await all(security.subAssessments.listAll(`subscriptions/${subscriptionId}`))).length === 0,
  'subAssessments.list': async ({ security, subscriptionId }) =>
    (await all(security.subAssessments.list(`subscriptions/${subscriptionId}`, 'c0b7cfc6-3172-465a-b378-53c7ff2cc0d5'))).length === 0,

  'resourceGraph.resources, page by page': async ({ graph }) => {
    let rows = 0;
    let skipToken: string | undefined;
    do {
      const page = await graph.resources({ query: ROWS, options: { top: 700, ...(skipToken === undefined ? {} : { skipToken }) } });
      rows += page.count;
      skipToken = page.skipToken;
    } while (skipToken !== undefined);
    return rows === (truth.assessments.listed as number) + (truth.containers.rowsServed as number);
  },
  'resourceGraph.resources of a management group, with facets': async ({ graph }) => {
    const page = await graph.resources({
      query: 'resources | project id, location',
      managementGroups: [MANAGEMENT_GROUP],
      options: { top: 5, authorizationScopeFilter: 'AtScopeAndBelow', allowPartialScopes: false },
      facets: [{ expression: 'location', options: { sortOrder: 'desc', top: 2 } }],
    });
    return page.facets?.[0]?.resultType === 'FacetResult' && page.count === 5;
  },
};

test('there are at least 25 different calls', () => {
  expect(Object.keys(CALLS).length).toBeGreaterThanOrEqual(25);
});

describe.each([
  ['public cloud, default endpoints', publicCloud],
  ['custom cloud, endpoint options', customCloud],
])('Microsoft’s own clients, unmodified: %s (azure.md §3.3, §5)', (_name, configuration) => {
  let clients: Clients;
  beforeAll(() => {
    clients = clientsOf(configuration());
  });

  test.each(Object.entries(CALLS))('%s', async (_call, call) => {
    const result = await call(clients);
    if (typeof result === 'number') expect(result).toBeGreaterThan(0);
    else expect(result).toBe(true);
  });

  test('links lead back to the host that was called', async () => {
    const { policy } = clients;
    const pages = policy.policyDefinitions.listBuiltIn({ top: 100 }).byPage();
    let rows = 0;
    for await (const page of pages) rows += page.length;
    expect(rows).toBeGreaterThan(300);
  });

  test('a wrong secret is reported with the AADSTS text (azure.md §3.4)', async () => {
    const { tenantId, clientId } = lab.tenant('A');
    const wrong = new ClientSecretCredential(tenantId, clientId, 'wrong', configuration().credential);
    await expect(wrong.getToken('https://management.azure.com/.default')).rejects.toThrow(/invalid_client.*AADSTS7000215/s);
  });
});
