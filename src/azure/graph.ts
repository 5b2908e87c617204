/** One question to Microsoft Graph: may this application read security incidents (azure.md §2.3)? */
import { isSyncError } from '../errors.ts';
import type { ArmClient } from './arm.ts';

export type IncidentsProbe =
  | { readonly verdict: 'ok' }
  /** The token's application permissions do not include any required one. `held` empty: added as Delegated, or no consent. */
  | { readonly verdict: 'missing-roles'; readonly required: readonly string[]; readonly held: readonly string[] };

export interface GraphClient {
  /** @throws SyncError for anything but a clear yes or the "Missing application roles" answer */
  readIncidentsProbe(signal?: AbortSignal): Promise<IncidentsProbe>;
}

/** @param graph an ArmClient made for the Graph endpoint, scope and service */
export function createGraphClient(graph: ArmClient): GraphClient {
  return {
    readIncidentsProbe: async (signal) => {
      try {
        await graph.getPage({ path: '/v1.0/security/incidents', apiVersion: '', query: { $top: '1' } }, signal);
        return { verdict: 'ok' };
      } catch (error) {
        const roles = isSyncError(error, 'forbidden') ? readMissingRoles(error.message) : undefined;
        if (roles === undefined) throw error;
        return { verdict: 'missing-roles', ...roles };
      }
    },
  };
}

/** Reads "Missing application roles. API required roles: A,B, application roles: C." into its two lists. */
export function readMissingRoles(message: string): { readonly required: readonly string[]; readonly held: readonly string[] } | undefined {
  const match = /Missing application roles\. API required roles: (.*?), application roles: (.*?)\.?$/i.exec(message.trim());
  if (match === null) return undefined;
  const list = (text: string | undefined): string[] =>
    (text ?? '')
      .split(',')
      .map((role) => role.trim())
      .filter((role) => role !== '');
  return { required: list(match[1]), held: list(match[2]) };
}
