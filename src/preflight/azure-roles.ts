/** Azure roles that reading needs, and the commands that grant them (azure.md §1.12). */
import type { CheckContext } from './types.ts';

export const securityReader = '39bc4728-0917-49c7-9d2c-d95423bc2eb4';
export const reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7';

/** How `az role assignment create` names us: the client id, or the object id of a managed identity that has none configured. */
export async function identityOf({ deployment, facts }: Pick<CheckContext, 'deployment' | 'facts'>): Promise<string> {
  if (deployment.azure.clientId !== undefined) return deployment.azure.clientId;
  return (await facts.armClaims())?.objectId ?? '<object id of the managed identity>';
}

const commandsShown = 3;

/** Both roles on management groups: to see what is below one takes Reader, Security Reader shows the group alone. */
export function readersOn(scopes: readonly string[], who: string): string {
  const commands = scopes
    .slice(0, commandsShown)
    .flatMap((scope) =>
      [reader, securityReader].map((role) => `az role assignment create --assignee ${who} --role ${role} --scope ${scope}`),
    );
  return `assign the roles Reader (${reader}), which shows the subscriptions below a management group, and Security Reader (${securityReader}) to ${who}: Access control (IAM) › Add role assignment on the management group, or ${commands.join(' ; ')}. A new assignment takes up to 10 minutes to work.`;
}

/** Steps that let `who` read Defender for Cloud on the given scopes, by portal and by command. */
export function securityReaderOn(scopes: readonly string[], who: string): string {
  const commands = scopes
    .slice(0, commandsShown)
    .map((scope) => `az role assignment create --assignee ${who} --role ${securityReader} --scope ${scope}`);
  const more = scopes.length - commandsShown;
  const rest = more > 0 ? ` (and the same for ${more} more; one assignment on a management group above them does it at once)` : '';
  return `assign the role Security Reader (${securityReader}) to ${who}: Access control (IAM) › Add role assignment on the scope, or ${commands.join(' ; ')}${rest}. With Reader (${reader}) as well, regions and tags of resources can be read. A new assignment takes up to 10 minutes to work.`;
}
