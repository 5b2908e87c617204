import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createAzureLab } from './azure/index.ts';
import { AdminError, createAdminApi, type AdminApi } from './kit/admin-api.ts';
import { createClock, type LabClock } from './kit/clock.ts';
import { writeFileAtomically } from './kit/files.ts';
import { openPortMemory } from './kit/ports.ts';
import { loadOrCreateAuthority } from './kit/tls.ts';
import { createServiceNowLab, type ServiceNowLabOptions } from './servicenow/index.ts';

export interface LabOptions {
  /** Folder for the authority, ports, data and lab.json. */
  dir: string;
  /** What the local Azure is made of; see lab/azure. Default: an estate that looks like a company. */
  estate?: string;
  /** Keeps the ServiceNow records over a restart. */
  persist?: boolean;
  latency?: NonNullable<ServiceNowLabOptions['latency']>;
  batchQuotaMs?: number;
  /** A domain-separated ServiceNow. */
  domains?: boolean;
  /** How the instance treats direct writes; see lab/servicenow/rules. Default plain. */
  profile?: NonNullable<ServiceNowLabOptions['business']>;
  /** Before or after the upgrade to USEM. Default usem. */
  edition?: NonNullable<ServiceNowLabOptions['edition']>;
}

/** Both labs and their admin API, running. */
export interface Lab {
  /** Path of lab.json: how any client gets in (design §8). */
  labFile: string;
  clock: LabClock;
  close(): Promise<void>;
}

/** Starts the local Azure, the local ServiceNow and the admin API, then writes lab.json. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const dir = resolve(options.dir);
  const labFile = join(dir, 'lab.json');
  // One left behind by a killed lab would lead a waiting client to ports that nobody listens on.
  await rm(labFile, { force: true });
  const authority = await loadOrCreateAuthority(dir);
  const ports = await openPortMemory(dir);
  const clock = createClock();
  const admin = createAdminApi();
  admin.register('', clockHandlers(clock));
  const closers: (() => Promise<void>)[] = [() => admin.close()];
  const close = async (): Promise<void> => {
    await rm(labFile, { force: true });
    await Promise.all(closers.map((closer) => closer()));
  };
  try {
    const azure = await createAzureLab({
      authority,
      dir,
      clock,
      admin,
      ...(options.estate === undefined ? {} : { estate: options.estate }),
    });
    closers.push(() => azure.close());
    const serviceNowPort = ports.wanted('servicenow');
    const serviceNow = await createServiceNowLab({
      authority,
      dir,
      clock,
      ...(serviceNowPort === undefined ? {} : { port: serviceNowPort }),
      ...(options.persist === undefined ? {} : { persist: options.persist }),
      ...(options.latency === undefined ? {} : { latency: options.latency }),
      ...(options.profile === undefined ? {} : { business: options.profile }),
      ...(options.edition === undefined ? {} : { edition: options.edition }),
      ...(options.batchQuotaMs === undefined ? {} : { batchQuotaMs: options.batchQuotaMs }),
      ...(options.domains === undefined ? {} : { domains: options.domains }),
    });
    closers.push(() => serviceNow.close());
    admin.register('/servicenow', serviceNow.adminHandlers);
    const { url: adminUrl, port: adminPort } = await admin.listen({ port: ports.wanted('admin') });
    await ports.remember('servicenow', serviceNow.port);
    await ports.remember('admin', adminPort);
    const { caFile } = authority;
    const description = {
      azure: { authority: azure.urls.authority, arm: azure.urls.arm, graph: azure.urls.graph, caFile, tenants: azure.tenants },
      serviceNow: { url: serviceNow.url, caFile, users: serviceNow.users, oauthClients: serviceNow.oauthClients },
      admin: { url: adminUrl },
    };
    // It holds passwords and secrets of the lab.
    await writeFileAtomically(labFile, `${JSON.stringify(description, null, 2)}\n`, { mode: 0o600 });
    return { labFile, clock, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function clockHandlers(clock: LabClock): Parameters<AdminApi['register']>[1] {
  const state = (): object => ({ now: clock.now().toISOString(), offsetMs: clock.offsetMs });
  return {
    'GET /clock': state,
    'POST /clock': ({ body }) => {
      const { now, advanceMs } = (body ?? {}) as { now?: unknown; advanceMs?: unknown };
      const moment = typeof now === 'string' ? new Date(now) : undefined;
      if (moment !== undefined && !Number.isNaN(moment.getTime())) clock.set(moment);
      else if (typeof advanceMs === 'number' && Number.isFinite(advanceMs)) clock.advance(advanceMs);
      else throw new AdminError(400, 'Send {"now":"2026-11-22T10:00:00Z"} or {"advanceMs":86400000}.');
      return state();
    },
  };
}
