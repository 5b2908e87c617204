/** From what Defender says about an assessed resource (`resourceDetails`) to one parsed id (azure.md §1.4, §1.5, §1.9). */
import { regionCode } from './regions.ts';
import { parseOnPremises, parseResourceId } from './resource-id.ts';
import type { InvalidId, OnPremisesDetails, ParsedImage, ParsedResource, ParsedResourceId } from './resource-id.ts';

/** `resourceDetails` with its field names folded to one case; all fields are optional because each source fills its own. */
export interface ResourceDetails extends OnPremisesDetails {
  /** `Azure`, `AWS`, `GCP`, `OnPremise`, `OnPremiseSql`, in any case; others exist (open enum). */
  readonly source?: string | undefined;
  readonly id?: string | undefined;
  readonly nativeResourceId?: string | undefined;
  /** AWS account or GCP project that the row names beside the id. */
  readonly accountId?: string | undefined;
  readonly region?: string | undefined;
}

/**
 * The resource that an assessment is about. Its own id wins over the scope in the assessment's id: a database's assessment
 * hangs on its server (azure.md §1.5). For AWS and GCP the cloud's own id wins over the connector's entity id.
 * @param assessedId the assessment's id without its `/providers/Microsoft.Security/assessments/…` tail
 */
export function parseResourceDetails(details: ResourceDetails, assessedId: string | undefined): ParsedResourceId | InvalidId {
  const source = details.source?.toLowerCase() ?? '';
  if (source.startsWith('onpremise')) return onPremises(details, assessedId);
  const cloud = source.startsWith('aws') ? 'aws' : source.startsWith('gcp') ? 'gcp' : 'azure';
  const candidates = cloud === 'azure' ? [details.id, assessedId] : [details.nativeResourceId, details.id, assessedId];
  let invalid: InvalidId | undefined;
  for (const candidate of candidates) {
    if (candidate === undefined || candidate === '') continue;
    const parsed = withRowFacts(parseResourceId(nativeForm(withoutAssessment(candidate), cloud, details.accountId)), cloud, details);
    if (!('invalid' in parsed)) return parsed;
    invalid ??= parsed;
  }
  return invalid ?? { invalid: 'is missing' };
}

function onPremises(details: ResourceDetails, assessedId: string | undefined): ParsedResource | InvalidId {
  const machine = parseOnPremises(details);
  if ('invalid' in machine || machine.accountId !== undefined) return machine;
  // A workspace given as a bare GUID says no subscription; the assessment's own id does.
  const assessed = assessedId === undefined ? undefined : parseResourceId(assessedId);
  const accountId = assessed !== undefined && !('invalid' in assessed) ? assessed.accountId : undefined;
  return accountId === undefined ? machine : { ...machine, accountId };
}

/** Some rows name themselves as their resource (seen in a published example): an assessment is about what stands before it. */
function withoutAssessment(id: string): string {
  return id.replace(/\/providers\/microsoft\.security\/assessments\/[^/]*\/*$/i, '');
}

/** A native AWS id without an ARN (`i-0abc…`) is only unique below its account. */
function nativeForm(id: string, cloud: 'azure' | 'aws' | 'gcp', accountId: string | undefined): string {
  const bare = cloud === 'aws' && accountId !== undefined && /^\d{12}$/.test(accountId) && !/[/:]/.test(id) && !/^\d{12}$/.test(id);
  return bare ? `aws/${accountId}/${id}` : id;
}

function withRowFacts(
  parsed: ParsedResourceId | InvalidId,
  cloud: 'azure' | 'aws' | 'gcp',
  details: ResourceDetails,
): ParsedResource | ParsedImage | InvalidId {
  if ('invalid' in parsed) return parsed;
  // A connector's entity id is an ARM id of a resource that lives elsewhere: its subscription is not the resource's account.
  const foreign = cloud !== 'azure' && parsed.cloud === 'azure';
  const { accountId: ownAccountId, ...rest } = parsed;
  const rowAccountId = details.accountId === '' ? undefined : details.accountId?.toLowerCase();
  const accountId = foreign ? rowAccountId : (ownAccountId ?? rowAccountId);
  const region = parsed.region ?? (details.region === undefined ? undefined : regionCode(details.region));
  return {
    ...rest,
    ...(foreign && { cloud }),
    ...(accountId !== undefined && { accountId }),
    ...(region !== undefined && { region }),
  };
}
