/**
 * Payloads for the Identification and Reconciliation Engine (servicenow.md §5.1, §11; mapping.md §4).
 *
 * A cloud CI is identified by its `object_id` below its datacenter, and the datacenter below its service account, so the
 * whole chain stands in every payload even when it exists already:
 *
 *     resource ──Hosted on──▶ datacenter ──Hosted on──▶ service account      regional resources
 *     resource ──Hosted on────────────────────────────▶ service account      global resources, machines outside of a cloud
 *     Docker image                                                            stands alone
 *
 * In `Hosted on::Hosts` the parent is the hosted item and the child its host.
 */
import type { CiIdentity, CiKey, CiRequest } from '../model.ts';
import { regionName } from './regions.ts';
import { accountClass, datacenterClassOf, imageClass, placeholderClass, tagClass } from './resource-class.ts';

export interface IreItem {
  readonly className: string;
  readonly values: Readonly<Record<string, string>>;
  readonly related?: readonly { readonly className: string; readonly values: Readonly<Record<string, string>> }[];
  readonly sys_object_source_info?: { readonly source_name: string; readonly source_native_key: string };
}

export interface IreRelation {
  /** Index of the hosted item. */
  readonly parent: number;
  /** Index of its host. */
  readonly child: number;
  readonly type: 'Hosted on::Hosts';
}

export interface IrePayload {
  readonly items: readonly IreItem[];
  readonly relations: readonly IreRelation[];
}

export interface BuiltPayload {
  readonly payload: IrePayload;
  /** Item that answers each request. Outcomes name items by `inputIndices`; two requests may share an item. */
  readonly itemIndexes: ReadonlyMap<CiKey, number>;
}

/** A request that no payload can carry, with the reason. */
export interface UnplacedRequest {
  readonly request: CiRequest;
  readonly because: string;
}

export interface IreOptions {
  /** A choice of `cmdb_ci.discovery_source`; case-exact (servicenow.md §5.1). */
  readonly dataSource: string;
  /** Tags of resources, name and value; only where the identification rule of the class takes them as related items. */
  readonly tags?: ReadonlyMap<CiKey, readonly (readonly [name: string, value: string])[]>;
  /** Items per payload, chain included (servicenow.md §5.1, best practice: 500). */
  readonly maxItems?: number;
}

type ResourceIdentity = Extract<CiIdentity, { type: 'resource' }>;

/**
 * Builds as few payloads as needed. Requests are sorted so that those with a common account and datacenter sit together
 * (fewer repeated parents, and payloads that would wait for the same parent's lock are neighbours, not rivals); equal
 * requests give one item, because IRE refuses a payload with duplicates.
 */
export function buildIrePayloads(
  requests: readonly CiRequest[],
  options: IreOptions,
): { readonly payloads: readonly BuiltPayload[]; readonly unplaced: readonly UnplacedRequest[] } {
  const maxItems = options.maxItems ?? 500;
  const unplaced: UnplacedRequest[] = [];
  const payloads: BuiltPayload[] = [];
  let draft = new Draft(options);
  for (const request of [...requests].sort(byParents)) {
    const because = reasonUnplaced(request.identity);
    if (because !== undefined) {
      unplaced.push({ request, because });
      continue;
    }
    // One request brings at most three items: itself, its datacenter, its account.
    if (draft.size + 3 > maxItems && draft.size + draft.itemsNeededFor(request) > maxItems) {
      payloads.push(draft.built());
      draft = new Draft(options);
    }
    draft.add(request);
  }
  if (draft.size > 0) payloads.push(draft.built());
  return { payloads, unplaced };
}

function reasonUnplaced(identity: CiIdentity): string | undefined {
  return identity.type === 'resource' && identity.accountId === undefined
    ? `${identity.displayId} belongs to no known subscription, AWS account or GCP project, and a cloud resource cannot be identified without one`
    : undefined;
}

function byParents(left: CiRequest, right: CiRequest): number {
  const a = sortKey(left.identity);
  const b = sortKey(right.identity);
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortKey(identity: CiIdentity): string {
  return identity.type === 'image'
    ? `\u{10ffff}${identity.digest}`
    : [identity.accountId ?? '', identity.region ?? '', identity.resourceId].join('\n');
}

class Draft {
  readonly #items: IreItem[] = [];
  readonly #relations: IreRelation[] = [];
  readonly #indexes = new Map<CiKey, number>();
  /** Item by its identity: what IRE would call a duplicate has the same key here. */
  readonly #itemOf = new Map<string, number>();
  readonly #options: IreOptions;

  constructor(options: IreOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#items.length;
  }

  itemsNeededFor({ identity }: CiRequest): number {
    return keysOf(identity).filter((key) => !this.#itemOf.has(key)).length;
  }

  add({ key, identity }: CiRequest): void {
    this.#indexes.set(key, identity.type === 'image' ? this.#addImage(identity) : this.#addResource(key, identity));
  }

  built(): BuiltPayload {
    return { payload: { items: this.#items, relations: this.#relations }, itemIndexes: this.#indexes };
  }

  #addImage(identity: Extract<CiIdentity, { type: 'image' }>): number {
    const imageId = identity.digest.replace(/^sha256:/, '').slice(0, 12);
    return this.#put(`image\n${imageId}`, {
      className: imageClass,
      values: { image_id: imageId, image_digest: identity.digest, name: identity.name },
      ...this.#sourceInfo(identity.digest),
    });
  }

  #addResource(key: CiKey, identity: ResourceIdentity): number {
    const account = this.#putAccount(identity);
    if (identity.lookupClass === accountClass) return account;
    const host = identity.region === undefined ? account : this.#putDatacenter(identity, identity.region, account);
    const before = this.size;
    const resource = this.#put(`resource\n${identity.resourceId}`, {
      className: placeholderClass,
      values: { object_id: identity.displayId, name: identity.name, resource_type: identity.resourceType },
      ...this.#related(key),
      ...this.#sourceInfo(identity.resourceId),
    });
    if (resource === before) this.#relations.push({ parent: resource, child: host, type: 'Hosted on::Hosts' });
    return resource;
  }

  #putAccount(identity: ResourceIdentity): number {
    const accountId = identity.accountId ?? '';
    return this.#put(accountKey(identity), {
      className: accountClass,
      values: {
        object_id: accountId,
        account_id: accountId,
        // Without a known name none is sent: a number would overwrite the name that Discovery wrote.
        ...(identity.accountName !== undefined && { name: identity.accountName }),
        datacenter_type: datacenterClassOf(identity.cloud),
      },
      ...this.#sourceInfo(accountId),
    });
  }

  #putDatacenter(identity: ResourceIdentity, region: string, account: number): number {
    const before = this.size;
    const datacenter = this.#put(datacenterKey(identity, region), {
      className: datacenterClassOf(identity.cloud),
      values: { object_id: region, region, name: regionName(region) },
      // Every account has a datacenter of this region.
      ...this.#sourceInfo(`${identity.accountId ?? ''}/${region}`),
    });
    if (datacenter === before) this.#relations.push({ parent: datacenter, child: account, type: 'Hosted on::Hosts' });
    return datacenter;
  }

  /** Direct writes to this table are refused; with its CI the engine takes them (servicenow.md §5.1). */
  #related(key: CiKey): Pick<IreItem, 'related'> {
    const tags = this.#options.tags?.get(key) ?? [];
    return tags.length === 0 ? {} : { related: tags.map(([name, value]) => ({ className: tagClass, values: { key: name, value } })) };
  }

  #put(key: string, item: IreItem): number {
    const known = this.#itemOf.get(key);
    if (known !== undefined) return known;
    this.#itemOf.set(key, this.#items.length);
    return this.#items.push(item) - 1;
  }

  /** IRE matches on its source rows first: a later change of the id's spelling still finds the CI (servicenow.md §5.1). */
  #sourceInfo(nativeKey: string): Required<Pick<IreItem, 'sys_object_source_info'>> {
    return { sys_object_source_info: { source_name: this.#options.dataSource, source_native_key: nativeKey } };
  }
}

function keysOf(identity: CiIdentity): readonly string[] {
  if (identity.type === 'image') return [`image\n${identity.digest.replace(/^sha256:/, '').slice(0, 12)}`];
  if (identity.lookupClass === accountClass) return [accountKey(identity)];
  const datacenter = identity.region === undefined ? [] : [datacenterKey(identity, identity.region)];
  return [accountKey(identity), ...datacenter, `resource\n${identity.resourceId}`];
}

function accountKey(identity: ResourceIdentity): string {
  return `account\n${identity.accountId ?? ''}`;
}

function datacenterKey(identity: ResourceIdentity, region: string): string {
  return `datacenter\n${identity.accountId ?? ''}\n${region}`;
}
