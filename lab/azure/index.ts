import { join } from 'node:path';
import type { AdminApi } from '../kit/admin-api.ts';
import type { LabClock } from '../kit/clock.ts';
import { createFaultBook } from '../kit/faults.ts';
import { createHttpsApp, type HttpsApp } from '../kit/https-app.ts';
import { openPortMemory } from '../kit/ports.ts';
import { createRequestLog } from '../kit/request-log.ts';
import type { LabAuthority, LabCertificate } from '../kit/tls.ts';
import { createAccess } from './access.ts';
import { azureAdminHandlers } from './admin.ts';
import { createArmAuthentication } from './arm/auth.ts';
import { ArmError } from './arm/errors.ts';
import { patternOf } from './arm/pattern.ts';
import { createArmHandler } from './arm/router.ts';
import { ARM_ROUTES } from './arm/routes/index.ts';
import { createReadThrottle } from './arm/throttle.ts';
import { createEntra, type ManagedIdentityEndpoints } from './entra/index.ts';
import { createSigningKeys } from './entra/keys.ts';
import { armAudience } from './entra/resources.ts';
import { createEstateChanges, type Estate } from './estate/model.ts';
import { openEstate } from './estate/open.ts';
import { registerGraph } from './graph/server.ts';
import type { JsonObject } from './json.ts';
import { withDefaults, type AzureLabOptionsInput } from './options.ts';
import { resourceGraphRoute } from './resource-graph/route.ts';

/** What a client needs to be one of the deployments. */
export interface LabTenant {
  /** Name of the deployment: `A`, `B`. */
  name: string;
  tenantId: string;
  clientId: string;
  clientSecret: string;
  /** Management groups where its principal holds roles. */
  managementGroups: string[];
  /** Subscriptions it can read at start. */
  subscriptions: string[];
}

export interface AzureLabInput {
  authority: LabAuthority;
  /** Folder for what has to outlive a restart: the ports. */
  dir: string;
  /** `company` (default) | `generated:<seed>:<assessments>` | `recordings:<dir>`. */
  estate?: string;
  clock: LabClock;
  /** Wanted port of ARM; taken from the last run in `dir`, else a free one. */
  port?: number;
  /** The lab's admin API: routes are registered under `/azure`. */
  admin: AdminApi;
  options?: AzureLabOptionsInput;
}

/** A running local Azure: three HTTPS servers, as the real one has three hosts, and the identity endpoint of the host over HTTP. */
export interface AzureLab {
  urls: { authority: string; arm: string; graph: string; identity: string };
  /** What a process finds in its environment where the host has a managed identity. */
  managedIdentity: ManagedIdentityEndpoints;
  tenants: LabTenant[];
  close(): Promise<void>;
}

/** The names of the public cloud: a client in its default configuration, led here by its resolver alone, finds them in the certificate. */
const PUBLIC_CLOUD_HOSTS = ['login.microsoftonline.com', 'management.azure.com', 'graph.microsoft.com'];

/** Starts the local Azure: Entra, Azure Resource Manager with Resource Graph, and Microsoft Graph, over one estate. */
export async function createAzureLab(input: AzureLabInput): Promise<AzureLab> {
  const { clock, authority, admin } = input;
  const options = withDefaults(input.options);
  const changes = createEstateChanges();
  const [estate, keys, certificate, ports] = await Promise.all([
    openEstate(input.estate ?? 'company', changes),
    createSigningKeys(),
    authority.issue({ hostNames: ['localhost', '127.0.0.1', ...PUBLIC_CLOUD_HOSTS] }),
    openPortMemory(join(input.dir, 'azure')),
  ]);
  const access = createAccess(estate);
  const throttle = createReadThrottle(options);
  const faults = createFaultBook('azure');
  const log = createRequestLog();
  const urls = { authority: '', arm: '', graph: '', identity: '' };

  const makeApp = (tls: LabCertificate | undefined): HttpsApp =>
    createHttpsApp({ certificate: tls, clock, faults, log, patternOf: ({ url }) => patternOf(url), notFound, failed });
  const servers = { authority: makeApp(certificate), arm: makeApp(certificate), graph: makeApp(certificate), identity: makeApp(undefined) };
  const entra = await createEntra({ estate, keys, clock, options, servers, urls });
  registerGraph(servers.graph, { ...entra, keys, clock, url: () => urls.graph });
  const authentication = createArmAuthentication({
    tenant: estate.tenant,
    access,
    keys,
    clock,
    authorityUrl: () => urls.authority,
    armUrl: () => urls.arm,
    armAudience: () => armAudience(entra.authority.state.cloud),
  });
  const handleArm = createArmHandler({ estate, changes, access, clock, options, authentication, throttle, url: () => urls.arm }, [
    ...ARM_ROUTES,
    resourceGraphRoute(),
  ]);
  servers.arm.app.all('/*', handleArm);
  admin.register('/azure', azureAdminHandlers({ ...entra, estate, changes, access, throttle, clock, faults, log, options }));

  for (const name of ['authority', 'arm', 'graph', 'identity'] as const) {
    const wanted = name === 'arm' ? (input.port ?? ports.wanted(name)) : ports.wanted(name);
    const { url, port } = await servers[name].listen({ port: wanted });
    urls[name] = url;
    await ports.remember(name, port);
  }
  return {
    urls,
    managedIdentity: entra.managedIdentity(),
    tenants: tenantsOf(estate, access),
    close: async () => {
      await Promise.all(Object.values(servers).map((server) => server.close()));
    },
  };
}

function tenantsOf(estate: Estate, access: ReturnType<typeof createAccess>): LabTenant[] {
  return estate.applications.map((application) => ({
    name: application.deployment,
    tenantId: estate.tenant.tenantId,
    clientId: application.clientId,
    clientSecret: application.clientSecret,
    managementGroups: [...new Set(application.roleAssignments.map(({ scope }) => scope.split('/')[4] ?? ''))].filter((name) => name !== ''),
    subscriptions: access.visibleSubscriptions(application).map(({ subscriptionId }) => subscriptionId),
  }));
}

const notFound: Parameters<typeof createHttpsApp>[0]['notFound'] = (request, reply) =>
  sendError(reply, new ArmError(404, 'NotFound', `There is nothing at ${request.method} ${request.url}.`));

/** A bug of the lab, or a body over the server's limit: never an answer of Azure's that a client should learn from. */
const failed: Parameters<typeof createHttpsApp>[0]['failed'] = (error, _request, reply) => {
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  const text = Error.isError(error) ? (error.stack ?? error.message) : String(error);
  if (status >= 500) console.error(`lab/azure: ${text}`);
  return sendError(
    reply,
    new ArmError(status, status === 500 ? 'InternalServerError' : 'BadRequest', Error.isError(error) ? error.message : text),
  );
};

function sendError(reply: Parameters<Parameters<typeof createHttpsApp>[0]['notFound']>[1], error: ArmError): unknown {
  const body: JsonObject = error.body();
  return reply.code(error.status).type('application/json; charset=utf-8').send(JSON.stringify(body));
}
