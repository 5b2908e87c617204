/**
 * Why a sign-in is refused. The instance has one text for every cause (examples/servicenow/oauth/token_error_access_denied.json,
 * errors/401_not_authenticated.http), so that what the same secrets open in another way is all there is to go by; where that does not
 * decide, the causes are listed with the place where each shows, and none is claimed.
 */
import type { SyncError } from '../errors.ts';
import type { SignInDiagnosis } from '../servicenow/index.ts';
import { blocking, evidenceOf } from './results.ts';
import type { CheckContext, Result } from './types.ts';

export async function refusedSignIn({ serviceNow, clients, signal }: CheckContext, error: SyncError): Promise<Result> {
  const { auth } = serviceNow;
  const evidence = evidenceOf(error);
  switch (auth.type) {
    case 'basic':
      return blocking(
        'user-refused',
        `${serviceNow.url} refuses user name and password of ${auth.userName}: ${evidence} It says the same for a wrong password and for a user that may not sign in.`,
        `${userSteps(auth.userName)} (4) where basic authentication is restricted, whether it has the role snc_basic_auth_api_access. If all of that is right, the password in the configuration is wrong.`,
      );
    case 'client-credentials':
      return blocking(
        'client-refused',
        `${evidence} The instance says the same whether id or secret is wrong, the client has no OAuth Application User, or that user may not sign in.`,
        clientCredentialsSteps(auth.clientId),
      );
    case 'password':
      return passwordGrant(auth, evidence, await clients.serviceNow.reach.diagnoseSignIn(signal));
  }
}

function passwordGrant(
  { clientId, userName }: { readonly clientId: string; readonly userName: string },
  evidence: string,
  diagnosis: SignInDiagnosis,
): Result {
  switch (diagnosis.fits) {
    case 'user':
      return blocking(
        'client-wrong',
        `User name and password of ${userName} are right (taken by basic authentication), so that OAuth client ${clientId} is what is refused: its id or secret is wrong, it is inactive, or it does not allow the password grant. ${evidence}`,
        `${registry(clientId)}: if there is none, the id is wrong; else check Active and the grant type, and copy the Client Secret anew (click the lock) to where the configuration reads it from.`,
      );
    case 'client':
      return clientFits(clientId, userName, diagnosis);
    case 'unknown':
      return blocking(
        'client-or-user-refused',
        `${evidence} It says the same whether the client or the user is wrong, and neither is taken without the other.`,
        `${registry(clientId)}: Active, the secret, and that the grant type allows passwords. ${userSteps(userName)} If all of that is right, the password in the configuration is wrong.`,
      );
  }
}

/** Id and secret are right: they opened the instance for the client's own user, who could look. */
function clientFits(clientId: string, userName: string, { user, usersReadable }: Extract<SignInDiagnosis, { fits: 'client' }>): Result {
  const right = `OAuth client ${clientId} is right (it was given a token for its own user), so that user ${userName} is what is refused`;
  if (user === undefined) {
    if (!usersReadable)
      return blocking('user-refused', `${right}; why cannot be seen.`, `${userSteps(userName)} Else the password is wrong.`);
    return blocking(
      'user-absent',
      `${right}: there is no user of this name, or it is in a domain that the client's own user does not see.`,
      `Correct serviceNow.auth.userName, or create the user: User Administration › Users › New, User ID = ${userName}; check its Domain where the instance is separated.`,
    );
  }
  const page = `User Administration › Users › ${userName} (/sys_user.do?sys_id=${user.sysId})`;
  const whose = `${userName} (${user.sysId})`;
  if (!user.active) return blocking('user-inactive', `${right}: ${whose} is not active.`, `${page}: check Active.`);
  if (user.lockedOut) return blocking('user-locked', `${right}: ${whose} is locked out.`, `${page}: clear Locked out.`);
  if (user.needsReset) {
    return blocking(
      'password-reset',
      `${right}: for ${whose} "Password needs reset" is checked.`,
      `${page}: set a password and clear Password needs reset.`,
    );
  }
  return blocking(
    'password-wrong',
    `${right}: ${whose} is active and not locked out, so its password is wrong, or the client does not allow the password grant.`,
    `${registry(clientId)}: the grant type allows passwords. Else ${page} › Set Password, and put it where the configuration reads it from; do that before the instance locks the user out.`,
  );
}

function registry(clientId: string): string {
  return `System OAuth › Application Registry, Client ID = ${clientId} (/oauth_entity_list.do?sysparm_query=client_id=${clientId})`;
}

function userSteps(userName: string): string {
  return `User Administration › Users, User ID = ${userName} (/sys_user_list.do?sysparm_query=user_name=${userName}): (1) it exists; (2) it is Active and not Locked out; (3) "Password needs reset" is not checked, and its Domain is one that is in use;`;
}

function clientCredentialsSteps(clientId: string): string {
  return `Look in this order: (1) ${registry(clientId)}: if there is none, the id is wrong; (2) its OAuth Application User is set; (3) that user is Active, not Locked out, and "Password needs reset" is not checked; (4) the property glide.oauth.inbound.client.credential.grant_type.enabled is true (/sys_properties_list.do?sysparm_query=name=glide.oauth.inbound.client.credential.grant_type.enabled); (5) else the secret in the configuration is wrong: click the lock beside Client Secret and copy it anew.`;
}
