/** Ids of AWS resources as Defender for Cloud shows them: ARNs, account ids, native ids below a known account (azure.md §1.4, §1.9). */
import type { ResourceId } from '../model.ts';
import type { InvalidId, ParsedResource } from './resource-id.ts';

const arn = /^arn:(?<partition>aws(?:-[a-z]+)*):(?<service>[a-z0-9-]+):(?<region>[a-z0-9-]*):(?<account>\d{12}|aws|):(?<resource>[^\s].*)$/;

/**
 * Parses `arn:partition:service:region:account:resource`, a 12-digit account id, and our own form of a native id,
 * `aws/<account>/<native id>`. ARNs are compared without case like everything else here: no AWS service lets two names
 * of one account differ by case alone in what Defender assesses.
 * @param raw already checked by `reasonNotAnId`
 */
export function parseAwsId(raw: string): ParsedResource | InvalidId {
  const displayId = raw.replace(/\/+$/, '');
  const id = displayId.toLowerCase();
  if (/^\d{12}$/.test(id)) return account(displayId, id);
  const [, nativeAccount, native] = /^aws\/(\d{12})\/(.+)$/.exec(id) ?? [];
  if (nativeAccount !== undefined && native !== undefined) {
    return {
      kind: 'resource',
      cloud: 'aws',
      resourceId: id as ResourceId,
      displayId,
      name: displayId.slice(displayId.lastIndexOf('/') + 1),
      resourceType: 'aws::resource',
      accountId: nativeAccount,
    };
  }
  const groups = arn.exec(id)?.groups;
  if (groups === undefined) return { invalid: 'is not arn:partition:service:region:account:resource' };
  const { service = '', region = '', account: owner = '', resource = '' } = groups;
  if (service === 'iam' && resource === 'root' && owner !== '') return account(displayId, owner);
  const spelled = displayId.slice(-resource.length);
  const [, type] = /^([a-z][a-z0-9-]*)[/:]./.exec(resource) ?? [];
  // An S3 bucket is the one common ARN without a type; an object in it is not assessed.
  const kind = type ?? (service === 's3' ? 'bucket' : undefined);
  return {
    kind: 'resource',
    cloud: 'aws',
    resourceId: id as ResourceId,
    displayId,
    name: type === undefined ? spelled : spelled.slice(type.length + 1),
    resourceType: ['aws', service, ...(kind === undefined ? [] : [kind])].join('::'),
    ...(/^\d{12}$/.test(owner) && { accountId: owner }),
    ...(region !== '' && { region }),
  };
}

function account(displayId: string, accountId: string): ParsedResource {
  return {
    kind: 'resource',
    cloud: 'aws',
    resourceId: accountId as ResourceId,
    displayId,
    name: accountId,
    resourceType: 'aws::account',
    accountId,
  };
}
