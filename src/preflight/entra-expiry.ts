/** When does the credential end that the deployment signs in with (azure.md §2.4)? Asked while there is time to renew it. */
import { certificateEnd } from '../azure/index.ts';
import { blocking, isAnswer, ok, warning } from './results.ts';
import type { AppCredential } from './graph-directory.ts';
import type { Check, CheckContext, Result } from './types.ts';

const dayMs = 24 * 3_600_000;
const warnedBeforeMs = 30 * dayMs;

export const entraCredentialExpiry: Check = {
  id: 'entra.credential-expiry',
  area: 'Entra sign-in',
  question: 'Does the secret or certificate expire within 30 days?',
  fixedBy: 'An owner of the app registration or an Application Administrator',
  follows: { warning: 'A run goes on until then; afterwards every run parks.' },
  permissions: [
    {
      feature: 'warning before a client secret expires, and telling a Delegated permission from a missing consent (optional)',
      system: 'Microsoft Graph',
      permission: 'Application.Read.All (9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30), Application permission',
      where: 'the app registration, with admin consent',
      grantedBy: 'A Global Administrator or Privileged Role Administrator',
    },
  ],
  // What has expired already is told by Entra, or, before anything is sent, by the certificate itself.
  needs: [],
  run: async (context) => {
    const { credential } = context.deployment.azure;
    switch (credential.type) {
      case 'certificate':
        return [await ofCertificate(context, credential.certificateFile)];
      case 'client-secret':
        return [await ofSecret(context, credential.clientSecret)];
      case 'federated-token':
      case 'managed-identity':
        return [
          ok(`A ${credential.type === 'federated-token' ? 'federated token' : 'managed identity'} is renewed by those who issue it.`),
        ];
    }
  },
};

async function ofCertificate(context: CheckContext, file: string): Promise<Result> {
  let endsAtMs: number;
  try {
    endsAtMs = (await certificateEnd(file)).getTime();
  } catch (error) {
    if (!isAnswer(error)) throw error;
    // That the file is no certificate is what signing in says.
    return ok('When the certificate expires is not known: its file cannot be read.');
  }
  const { clientId } = context.deployment.azure;
  const remedy = `Make a new certificate, upload its public part under Entra admin centre › App registrations › ${clientId ?? ''} › Certificates & secrets › Certificates, and put it with its key into ${file}; the worker takes it up by itself.`;
  if (endsAtMs <= context.nowMs())
    return blocking('certificate-expired', `The certificate in ${file} expired on ${dateOf(endsAtMs)}.`, remedy);
  return judge(context, endsAtMs, `The certificate in ${file}`, remedy, 'certificate-expires-soon');
}

async function ofSecret(context: CheckContext, clientSecret: { reveal(): string; readonly origin: string }): Promise<Result> {
  const registration = await context.facts.appRegistration();
  if (registration === undefined) {
    return ok('When the client secret expires is not known: the application may not read its own registration (Application.Read.All).');
  }
  const hint = hintOf(clientSecret);
  const ours = registration.credentials.filter((one) => one.type === 'secret' && one.hint !== '' && one.hint === hint);
  // Of several that begin alike the one that ends last may be ours: nobody is woken for the others.
  const [latest] = ours.sort((left, right) => right.endsAtMs - left.endsAtMs);
  if (latest === undefined || Number.isNaN(latest.endsAtMs))
    return ok('When the client secret expires is not known: its registration does not name it.');
  const { clientId } = context.deployment.azure;
  const remedy = `Entra admin centre › App registrations › ${clientId ?? ''} › Certificates & secrets › New client secret (or: az ad app credential reset --id ${clientId ?? ''} --append), and put its Value into ${clientSecret.origin}.`;
  return judge(context, latest.endsAtMs, named(latest), remedy, 'secret-expires-soon');
}

/** Undefined where the secret cannot be read: signing in says so. */
function hintOf(clientSecret: { reveal(): string }): string | undefined {
  try {
    return clientSecret.reveal().slice(0, 3);
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return undefined;
  }
}

function named({ displayName, keyId }: AppCredential): string {
  return `The client secret "${displayName}" (Secret ID ${keyId})`;
}

function judge({ nowMs }: CheckContext, endsAtMs: number, what: string, remedy: string, cause: string): Result {
  const left = endsAtMs - nowMs();
  // An expired secret is refused at sign-in, which says it better.
  if (left > warnedBeforeMs || left <= 0) return ok(`${what} ends on ${dateOf(endsAtMs)}.`);
  return warning(cause, `${what} expires in ${Math.ceil(left / dayMs)} days, on ${dateOf(endsAtMs)}.`, remedy);
}

function dateOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
