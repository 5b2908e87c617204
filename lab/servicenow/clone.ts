import { createAdminApi, AdminError } from '../kit/admin-api.ts';
import type { LabOAuthClient } from './oauth-clients.ts';
import type { LabUser } from './accounts.ts';
import type { ServiceNowLab } from './index.ts';

/** How a client reaches a clone: another URL and other OAuth clients, the same users and the same data. */
export interface CloneDescription {
  name: string;
  url: string;
  instanceId: string;
  users: LabUser[];
  oauthClients: LabOAuthClient[];
  /** Its own admin API, under `/servicenow` like the source's. */
  admin: { url: string };
}

/** Copies of this instance that run beside it, in memory, until they are removed or the lab stops. */
export interface Clones {
  make(name: string): Promise<CloneDescription>;
  list(): CloneDescription[];
  /** False where there is none of that name. */
  remove(name: string): Promise<boolean>;
  close(): Promise<void>;
}

/** `start` starts a second instance of that name over a copy of the data as it is now. */
export function createClones(start: (name: string) => Promise<ServiceNowLab>): Clones {
  const running = new Map<string, { description: CloneDescription; close: () => Promise<void> }>();
  const remove = async (name: string): Promise<boolean> => {
    const clone = running.get(name);
    running.delete(name);
    await clone?.close();
    return clone !== undefined;
  };
  return {
    list: () => [...running.values()].map(({ description }) => description),
    remove,
    make: async (name) => {
      if (running.has(name)) throw new AdminError(409, `A clone "${name}" is running already. Remove it first: DELETE /clones/${name}.`);
      const lab = await start(name);
      const admin = createAdminApi();
      admin.register('/servicenow', lab.adminHandlers);
      const { url } = await admin.listen({});
      const { users, oauthClients, instanceId } = lab;
      const description = { name, url: lab.url, instanceId, users, oauthClients, admin: { url } };
      const close = async (): Promise<void> => {
        await Promise.all([lab.close(), admin.close()]);
      };
      running.set(name, { description, close });
      return description;
    },
    close: async () => {
      await Promise.all([...running.keys()].map(remove));
    },
  };
}
