import { AdminError } from '../kit/admin-api.ts';
import { subscriptionIn, type AccessAdminContext } from './admin-access.ts';
import type { RemovalTarget } from './estate/content-changes.ts';
import type { EstateContent } from './estate/model.ts';
import type { JsonObject } from './json.ts';

type Change = (value: JsonObject) => void;

/**
 * The keys of `POST /azure/change` that change what an estate holds. Each is an entry of a log: it costs the same however many rows it
 * meets, and the same changes in the same order make the same estate. AdminError 400 for a value that makes no sense or an estate
 * whose content is fixed, 404 for what is not there.
 */
export function estateChanges(context: AccessAdminContext): Record<string, Change> {
  return {
    delete: (value) => remove(context, 'delete', value),
    reappear: (value) => remove(context, 'reappear', value),
    add: (value) => add(context, value),
    rekey: (value) => rekey(context, value),
    move: (value) => move(context, value),
  };
}

/** Recorded estates stay as they were recorded. */
function contentOf({ estate }: AccessAdminContext): EstateContent {
  if (estate.content === undefined) throw new AdminError(400, `The content of the estate '${estate.name}' cannot be changed.`);
  return estate.content;
}

/** `{percent, seed?, of?, subscription?}`, or `{id}` of a resource or an assessment. */
function remove(context: AccessAdminContext, name: 'delete' | 'reappear', value: JsonObject): void {
  const content = contentOf(context);
  onlyKnown(name, value, ['id', 'percent', 'seed', 'of', 'subscription']);
  const { removals } = context.changes.content;
  const present = name === 'reappear';
  const { id, percent, seed = 1, of = 'assessments' } = value;
  if (id !== undefined) {
    const part = typeof id === 'string' ? content.locate(id) : undefined;
    if (part === undefined) throw new AdminError(404, `The estate has no resource and no assessment '${JSON.stringify(id)}'.`);
    removals.push({ ...part, present });
    return;
  }
  if (typeof percent !== 'number' || percent < 0 || percent > 100)
    throw new AdminError(400, `${name} takes an id, or a percent from 0 to 100.`);
  if (typeof seed !== 'number' || !Number.isInteger(seed)) throw new AdminError(400, `${name}.seed is a whole number.`);
  if (of !== 'assessments' && of !== 'resources') throw new AdminError(400, `${name}.of is 'assessments' or 'resources'.`);
  const target: RemovalTarget = { kind: of, percent, seed };
  removals.push({ target, subscriptionId: optionalSubscription(context, value), present });
}

/** `{assessments?, resources?, images?, subscription?}`: without a subscription, over all by their share of the estate. */
function add(context: AccessAdminContext, value: JsonObject): void {
  contentOf(context);
  onlyKnown('add', value, ['assessments', 'resources', 'images', 'subscription']);
  const addition = {
    subscriptionId: optionalSubscription(context, value),
    assessments: count('add.assessments', value.assessments),
    resources: count('add.resources', value.resources),
    images: count('add.images', value.images),
  };
  if (addition.assessments + addition.resources + addition.images === 0)
    throw new AdminError(400, 'add takes one or more of assessments, resources and images, each a number.');
  context.changes.content.additions.push(addition);
}

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `{key, to}`: the recommendation has another key from now on. */
function rekey(context: AccessAdminContext, value: JsonObject): void {
  const content = contentOf(context);
  onlyKnown('rekey', value, ['key', 'to']);
  const key = typeof value.key === 'string' ? value.key.toLowerCase() : '';
  const to = typeof value.to === 'string' ? value.to.toLowerCase() : '';
  if (!GUID.test(to)) throw new AdminError(400, 'rekey.to is the new key, a GUID.');
  if (!content.isKey(key)) throw new AdminError(404, `No recommendation of the estate has the key '${key}'.`);
  if (content.isKey(to)) throw new AdminError(409, `A recommendation has the key '${to}' already.`);
  context.changes.content.renames.push({ from: key, to });
}

/** `{subscription, managementGroup}`: roles, policies and lists of both groups follow. */
function move(context: AccessAdminContext, value: JsonObject): void {
  onlyKnown('move', value, ['subscription', 'managementGroup']);
  const subscription = subscriptionIn(context, value);
  const group = typeof value.managementGroup === 'string' ? context.access.managementGroup(value.managementGroup) : undefined;
  if (group === undefined) throw new AdminError(404, `There is no management group '${JSON.stringify(value.managementGroup ?? null)}'.`);
  context.access.change(subscription, { managementGroup: group.name });
}

function optionalSubscription(context: AccessAdminContext, value: JsonObject): string | undefined {
  return value.subscription === undefined ? undefined : subscriptionIn(context, value);
}

function count(name: string, value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw new AdminError(400, `${name} is a whole number.`);
  return value;
}

/** A misspelt member would be a change that silently means something else. */
function onlyKnown(name: string, value: JsonObject, known: readonly string[]): void {
  const stranger = Object.keys(value).find((member) => !known.includes(member));
  if (stranger !== undefined) throw new AdminError(400, `${name} has no '${stranger}'; it takes ${known.join(', ')}.`);
}
