import type { JsonObject } from '../../json.ts';
import type { BlockKind, ResourceTemplate } from './blocks.ts';
import { choose, hash32, hexOf, uuidOf } from './hash.ts';
import type { EstateProfile, SubscriptionProfile } from './profile.ts';

/** What names are made from. */
export interface NamingContext {
  readonly seed: number;
  readonly profile: EstateProfile;
  readonly subscription: SubscriptionProfile;
  readonly subscriptionId: string;
}

/** A connector to an AWS account or a GCP project. */
export interface Connector {
  readonly cloud: 'AWS' | 'GCP';
  /** Resource id with a leading slash. */
  readonly id: string;
  readonly name: string;
  readonly connectorId: string;
  /** AWS account number or GCP project number: `hierarchyIdentifier`. */
  readonly hierarchyId: string;
  /** GCP project id; the account's alias on AWS. */
  readonly alias: string;
}

/** One resource, as everything that mentions it needs it. */
export interface Resource {
  /** In the casing of Azure's own documentation; rows vary it. */
  readonly id: string;
  readonly name: string;
  /** The catalogue's type. */
  readonly type: string;
  readonly cloud: ResourceTemplate['cloud'];
  readonly location: string;
  readonly resourceGroup: string;
  readonly tags: JsonObject;
  readonly connector?: Connector;
  /** ARN or full GCP resource name. */
  readonly nativeId?: string;
  readonly region?: string;
  readonly onPremises?: OnPremises;
}

/** azure.md §1.4: what identifies a machine or a SQL database outside the clouds. */
export interface OnPremises {
  readonly workspaceId: string;
  readonly vmuuid: string;
  readonly sourceComputerId: string;
  readonly machineName: string;
  readonly serverName?: string;
  readonly databaseName?: string;
}

/** A resource group with what is in it. */
export interface Block {
  readonly number: number;
  readonly kind: BlockKind['name'];
  readonly resourceGroup: string;
  readonly location: string;
  readonly tags: JsonObject;
  readonly connector: Connector | undefined;
  readonly resources: readonly Resource[];
}

const AWS_REGIONS = ['us-east-1', 'eu-central-1', 'eu-west-1'];
const GCP_REGIONS = ['europe-west3', 'us-central1', 'europe-west1'];

/** The subscription itself, as the resource of subscription-level assessments. */
export function subscriptionResource({ subscription, subscriptionId }: NamingContext): Resource {
  return {
    id: `/subscriptions/${subscriptionId}`,
    name: subscription.displayName,
    type: 'subscription',
    cloud: 'Azure',
    location: '',
    resourceGroup: '',
    tags: subscription.tags,
  };
}

/** What a block is about and where it lies: all that its resource group's name says. */
function describePlace({ seed, profile, subscription }: NamingContext, kind: BlockKind['name'], number: number): BlockPlace {
  const draw = (purpose: number): number => hash32(seed, number, purpose);
  const workload = choose(profile.workloads, draw(1));
  const region = choose(profile.regions, draw(2));
  const environment = subscription.environment === 'shared' ? choose(['prod', 'shared'] as const, draw(3)) : subscription.environment;
  const ordinal = String(number).padStart(4, '0');
  // Resource groups end in the block's number: it makes them unique, and lets a single assessment be found again.
  const resourceGroup = `rg-${kind === 'aws' || kind === 'gcp' ? kind : workload}-${environment}-${region.short}-${ordinal}`;
  return { workload, region, environment, ordinal, resourceGroup };
}

interface BlockPlace {
  readonly workload: string;
  readonly region: EstateProfile['regions'][number];
  readonly environment: string;
  readonly ordinal: string;
  readonly resourceGroup: string;
}

/** The resource group of a block, without describing what is in it. */
export function resourceGroupOf(naming: NamingContext, kind: BlockKind['name'], number: number): string {
  return describePlace(naming, kind, number).resourceGroup;
}

/** Block `number` of a subscription: the same for the same seed, whatever else the estate holds. */
export function describeBlock(naming: NamingContext, kind: BlockKind, number: number): Block {
  const { seed, profile, subscriptionId } = naming;
  const draw = (purpose: number): number => hash32(seed, number, purpose);
  const { workload, region, environment, ordinal, resourceGroup } = describePlace(naming, kind.name, number);
  const tags: JsonObject =
    draw(4) % 5 === 0
      ? {}
      : {
          environment,
          application: workload,
          owner: `${choose(profile.owners, draw(5))}-team`,
          costCenter: String(4000 + (draw(6) % 400)),
        };
  const connector =
    kind.name === 'aws' || kind.name === 'gcp' ? describeConnector(naming, kind.name, resourceGroup, workload, number) : undefined;
  const words: Record<string, string> = {
    '{w}': workload,
    '{W}': workload.toUpperCase().slice(0, 6),
    '{e}': environment,
    '{r}': region.short,
    '{n}': ordinal,
    '{s}': profile.short,
    '{S}': profile.short.toUpperCase(),
    '{hex}': hexOf(15, seed, number, 7),
    '{account}': connector?.hierarchyId ?? '',
    '{project}': connector?.alias ?? '',
  };
  const place: Place = {
    naming,
    number,
    resourceGroup,
    location: region.name,
    tags,
    connector,
    base: `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`,
  };
  return {
    number,
    kind: kind.name,
    resourceGroup,
    location: region.name,
    tags,
    connector,
    resources: kind.resources.map((template, index) =>
      describeResource(
        template,
        template.name.replace(/\{\w+\}/g, (word) => words[word] ?? word),
        index,
        place,
      ),
    ),
  };
}

function describeConnector(naming: NamingContext, kind: 'aws' | 'gcp', resourceGroup: string, workload: string, number: number): Connector {
  const { seed, profile, subscription, subscriptionId } = naming;
  const alias = `${profile.short}-${workload}-${subscription.environment}-${String(number)}`;
  const digits = String(100_000_000_000 + (hash32(seed, number, 11) % 899_999_999) * 1000 + (hash32(seed, number, 12) % 1000));
  const name = `${kind}-${alias}`;
  return {
    cloud: kind === 'aws' ? 'AWS' : 'GCP',
    id: `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Security/securityConnectors/${name}`,
    name,
    connectorId: uuidOf(seed, [number, 13]),
    hierarchyId: digits,
    alias,
  };
}

interface Place {
  readonly naming: NamingContext;
  readonly number: number;
  readonly resourceGroup: string;
  readonly location: string;
  readonly tags: JsonObject;
  readonly connector: Connector | undefined;
  readonly base: string;
}

function describeResource(template: ResourceTemplate, name: string, index: number, place: Place): Resource {
  const common = {
    name,
    type: template.type,
    cloud: template.cloud,
    location: place.location,
    resourceGroup: place.resourceGroup,
    tags: place.tags,
  };
  if (template.cloud === 'Azure') return { ...common, id: armId(place.base, template.type, name), name: name.split('/').at(-1) ?? name };
  if (template.cloud === 'OnPremises') return onPremisesResource(common, name, place);
  return cloudResource(common, name, index, place);
}

/** `Microsoft.Sql/servers/databases` + `s/d` → `…/providers/Microsoft.Sql/servers/s/databases/d`. */
function armId(base: string, type: string, name: string): string {
  const [namespace = '', ...types] = type.split('/');
  const names = name.split('/');
  return [base, 'providers', namespace, ...types.flatMap((part, index) => [part, names[index] ?? ''])].join('/');
}

type Common = Omit<Resource, 'id'>;

/** Machines hang below the workspace that collects from them. */
function onPremisesResource(common: Common, name: string, place: Place): Resource {
  const { seed, profile } = place.naming;
  const [machine = '', server, database] = name.split('|');
  const workspace = `${place.base}/providers/Microsoft.OperationalInsights/workspaces/law-${profile.short}-${place.location}`;
  const machineNumber = Number(machine.slice(-2));
  const onPremises: OnPremises = {
    workspaceId: workspace,
    vmuuid: uuidOf(seed, [place.number, 21, machineNumber]),
    sourceComputerId: uuidOf(seed, [place.number, 22, machineNumber]),
    machineName: machine,
    ...(server === undefined || database === undefined ? {} : { serverName: server, databaseName: database }),
  };
  const machineId = `${workspace}/onPremiseMachines/${machine}`;
  const id = server === undefined || database === undefined ? machineId : `${machineId}/sqlServers/${server}/databases/${database}`;
  return { ...common, name: database ?? machine, id, onPremises };
}

/** AWS and GCP resources are entities of their connector: azure.md §1.9, and the AWS row of §1.7's examples. */
function cloudResource(common: Common, name: string, index: number, place: Place): Resource {
  const connector = place.connector;
  if (connector === undefined) throw new Error(`Resource ${name} needs a connector.`);
  const region = choose(connector.cloud === 'AWS' ? AWS_REGIONS : GCP_REGIONS, hash32(place.naming.seed, place.number, 31, index));
  const shortName = name.replace(/^(?:aws|gcp)-(?:[a-z0-9]+)-(?:[a-z0-9]+-)?/, '');
  const nativeId =
    connector.cloud === 'AWS'
      ? arnOf(common.type, shortName, region, connector.hierarchyId)
      : gcpNameOf(common.type, shortName, region, connector.alias);
  return {
    ...common,
    name: shortName,
    id: `${connector.id}/securityentitydata/${name}`,
    location: '',
    tags: {},
    connector,
    region,
    nativeId,
  };
}

function arnOf(type: string, name: string, region: string, account: string): string {
  switch (type) {
    case 'ec2.instance':
      return `arn:aws:ec2:${region}:${account}:instance/${name}`;
    case 's3.bucket':
      return `arn:aws:s3:::${name}`;
    case 'iam.user':
      return `arn:aws:iam::${account}:user/${name}`;
    case 'rds.dbinstance':
      return `arn:aws:rds:${region}:${account}:db:${name}`;
    case 'lambda.function':
      return `arn:aws:lambda:${region}:${account}:function:${name}`;
    case 'eks.cluster':
      return `arn:aws:eks:${region}:${account}:cluster/${name}`;
    default:
      return `arn:aws:iam::${account}:root`;
  }
}

function gcpNameOf(type: string, name: string, region: string, project: string): string {
  switch (type) {
    case 'compute.instance':
      return `//compute.googleapis.com/projects/${project}/zones/${region}-b/instances/${name}`;
    case 'storage.bucket':
      return `//storage.googleapis.com/${name}`;
    case 'sqladmin.instance':
      return `//cloudsql.googleapis.com/projects/${project}/instances/${name}`;
    case 'container.cluster':
      return `//container.googleapis.com/projects/${project}/locations/${region}/clusters/${name}`;
    default:
      return `//cloudresourcemanager.googleapis.com/projects/${project}`;
  }
}
