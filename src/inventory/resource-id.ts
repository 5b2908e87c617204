/**
 * One normal form per cloud resource (azure.md §1.4–§1.9, "JSON casing differs", "resource ids vary in case inside one
 * response"). Whatever spelling a service chooses, the ledger, the discovered item and the CI see one {@link ResourceId}.
 * What cannot be placed is refused with a reason and never guessed.
 */
import type { ResourceId } from '../model.ts';
import { parseAwsId } from './aws-id.ts';
import { parseAzureId } from './azure-id.ts';
import { parseGoogleId } from './google-id.ts';

export type Cloud = 'azure' | 'aws' | 'gcp' | 'on-premises';

/** A resource of a cloud, or a machine or database outside of it. */
export interface ParsedResource {
  readonly kind: 'resource';
  readonly cloud: Cloud;
  /** Normal form: lower case, no trailing slash. */
  readonly resourceId: ResourceId;
  /** As the cloud spelled it, without trailing slash. */
  readonly displayId: string;
  /** Last segment, as spelled. */
  readonly name: string;
  /** `microsoft.compute/virtualmachines`, `aws::s3::bucket`, `gcp::compute::instances`, `on-premises::machine`. */
  readonly resourceType: string;
  /** Subscription, AWS account, GCP project; lower case. */
  readonly accountId?: string;
  /** Programmatic region (`us-east-1`), only when the id says it. */
  readonly region?: string;
}

/** A container image by digest. */
export interface ParsedImage {
  readonly kind: 'image';
  /** Absent when the id is a bare `registry/repository@digest`, which no cloud claims. */
  readonly cloud?: Exclude<Cloud, 'on-premises'>;
  readonly resourceId: ResourceId;
  readonly displayId: string;
  /** 64 lower-case hexadecimal digits. */
  readonly digestHex: string;
  /** Registry as the id names it (an ARM resource name or a host name), lower case. */
  readonly registry?: string;
  /** Repository path, lower case. */
  readonly repository: string;
  readonly accountId?: string;
  readonly region?: string;
}

export type ParsedResourceId = ParsedResource | ParsedImage;
export interface InvalidId {
  /** Why the id cannot be used, without a full stop. */
  readonly invalid: string;
}

/** Longest id that is accepted, in UTF-16 code units. */
export const maxIdLength = 2_048;

/**
 * Why a text must not be used as an id, or undefined when it may be. `^` and line ends would break out of a ServiceNow
 * query, `=` is an operator there (servicenow.md §5.2), NUL and lone surrogates cannot be stored. `%5e` is left alone: it
 * is not decoded anywhere.
 */
export function reasonNotAnId(text: string): string | undefined {
  if (text.length === 0) return 'is empty';
  if (text.length > maxIdLength) return `is longer than ${maxIdLength} characters`;
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/u.test(text)) return 'contains a control character';
  if (!text.isWellFormed()) return 'contains half of a surrogate pair';
  if (text.includes('^')) return 'contains ^';
  if (text.includes('=')) return 'contains =';
  if (text.trim() !== text) return 'begins or ends with white space';
  if (text.toLowerCase().length > maxIdLength) return `is longer than ${maxIdLength} characters`;
  return undefined;
}

const image = /^(?:(?<registry>[a-z0-9.-]+(?::\d+)?)\/)?(?<repository>[a-z0-9._-]+(?:\/[a-z0-9._-]+)*)@sha256:(?<digest>[0-9a-f]{64})$/;

/**
 * Parses the id of an Azure, AWS or GCP resource, of an AWS account (12 digits), or of an image
 * (`registry/repository@sha256:…`). Two spellings of one resource (case, trailing slash) give one `resourceId`.
 * Machines outside of a cloud have no id of their own: see `parseResourceDetails`.
 */
export function parseResourceId(raw: unknown): ParsedResourceId | InvalidId {
  if (typeof raw !== 'string') return { invalid: raw === undefined || raw === null ? 'is missing' : 'is not text' };
  const reason = reasonNotAnId(raw);
  if (reason !== undefined) return { invalid: reason };
  const lower = raw.toLowerCase();
  if (lower.startsWith('on-premises/')) return parseOnPremisesForm(raw);
  if (lower.startsWith('arn:') || lower.startsWith('aws/') || /^\d{12}$/.test(lower)) return parseAwsId(raw);
  if (/^(?:\/\/|https:\/\/)[a-z0-9.-]*googleapis\.com\//.test(lower) || lower.startsWith('projects/')) return parseGoogleId(raw);
  const groups = image.exec(lower)?.groups;
  if (groups?.['digest'] !== undefined && groups['repository'] !== undefined) {
    const { registry, repository, digest } = groups;
    // A first segment without dot or port is part of the repository: that is how registries themselves read a name.
    const isHost = registry !== undefined && /[.:]/.test(registry);
    return {
      kind: 'image',
      resourceId: lower as ResourceId,
      displayId: raw,
      digestHex: digest,
      repository: isHost || registry === undefined ? repository : `${registry}/${repository}`,
      ...(isHost && { registry }),
    };
  }
  return parseAzureId(raw);
}

/** What Defender knows of a machine, or a database on it, that is in no cloud (azure.md §1.4, `OnPremise`, `OnPremiseSql`). */
export interface OnPremisesDetails {
  readonly workspaceId?: string | undefined;
  readonly vmUuid?: string | undefined;
  readonly sourceComputerId?: string | undefined;
  readonly machineName?: string | undefined;
  readonly serverName?: string | undefined;
  readonly databaseName?: string | undefined;
}

/**
 * Normal form of a machine outside of a cloud: `on-premises/<workspace>/<machine id>/<machine name>`, for a database
 * followed by `/<server>/<database>`. The machine id is `vmuuid`, else `sourceComputerId`. `accountId` is the subscription of
 * the Log Analytics workspace that the machine reports to, when the workspace is given as an ARM id
 * (docs/decisions/on-premises-resources.md).
 */
export function parseOnPremises(details: OnPremisesDetails): ParsedResource | InvalidId {
  const { workspaceId, machineName, serverName, databaseName } = details;
  const machineId = nonEmpty(details.vmUuid) ?? nonEmpty(details.sourceComputerId);
  const parts: readonly (readonly [string, string | undefined])[] = [
    ['workspaceId', nonEmpty(workspaceId)],
    ['vmuuid or sourceComputerId', machineId],
    ['machineName', nonEmpty(machineName)],
    ...(nonEmpty(serverName) === undefined && nonEmpty(databaseName) === undefined
      ? []
      : ([
          ['serverName', nonEmpty(serverName)],
          ['databaseName', nonEmpty(databaseName)],
        ] as const)),
  ];
  const values: string[] = [];
  for (const [field, value] of parts) {
    if (value === undefined) return { invalid: `has no ${field}` };
    const reason = reasonNotAnId(value);
    if (reason !== undefined) return { invalid: `has a ${field} that ${reason}` };
    // Slashes separate the parts of the normal form; only the workspace, itself a path, keeps its own (as `:`).
    values.push(field === 'workspaceId' ? value.replaceAll(/^\/+|\/+$/g, '').replaceAll('/', ':') : value.replaceAll('/', ':'));
  }
  return parseOnPremisesForm(['on-premises', ...values].join('/'));
}

function parseOnPremisesForm(form: string): ParsedResource | InvalidId {
  const reason = reasonNotAnId(form);
  if (reason !== undefined) return { invalid: reason };
  const segments = form.replace(/\/+$/, '').split('/');
  const [, workspace, , machineName, , databaseName] = segments;
  if (![4, 6].includes(segments.length) || segments.includes('') || workspace === undefined || machineName === undefined) {
    return { invalid: 'is not on-premises/<workspace>/<machine id>/<machine name>' };
  }
  const subscription = /^subscriptions:([0-9a-f-]{36}):/.exec(workspace.toLowerCase())?.[1];
  const displayId = segments.join('/');
  return {
    kind: 'resource',
    cloud: 'on-premises',
    resourceId: displayId.toLowerCase() as ResourceId,
    displayId,
    name: databaseName ?? machineName,
    resourceType: databaseName === undefined ? 'on-premises::machine' : 'on-premises::sql-database',
    ...(subscription !== undefined && { accountId: subscription }),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}

/**
 * What two spellings of one `object_id` have in common, for comparing what an instance holds with what is looked for.
 * Text that is no known id (an account number, another system's id) is compared in lower case.
 */
export function resourceNormalForm(objectId: string): string {
  const parsed = parseResourceId(objectId);
  return 'invalid' in parsed ? objectId.toLowerCase() : parsed.resourceId;
}
