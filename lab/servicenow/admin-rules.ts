import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import type { Scheduler } from './jobs/scheduler.ts';
import { BUSINESS_PROFILES, isBusinessProfile, type InstanceRules } from './rules/index.ts';
import type { AbortRule, Policy } from './rules/policies.ts';
import type { FieldRestriction } from './rules/strict-fields.ts';
import type { Schema } from './schema.ts';

/** The remote control of profile, guards, policies and jobs, beside that of admin.ts. */
export function ruleHandlers(schema: Schema, rules: InstanceRules, scheduler: Scheduler): AdminHandlers {
  return {
    'GET /profile': () => ({ profile: rules.profile() }),
    'POST /profile': ({ body }) => {
      const { profile } = asObject(body);
      if (!isBusinessProfile(profile)) throw new AdminError(400, `Send {"profile":"${BUSINESS_PROFILES.join('|')}"}.`);
      rules.setProfile(profile);
      scheduler.setOn(profile === 'strict');
      return { profile };
    },
    'GET /field-restrictions': () => ({ restrictions: rules.restrictions.list() }),
    'POST /field-restrictions': ({ body }) => {
      rules.restrictions.add(restrictionFrom(schema, asObject(body)));
    },
    'DELETE /field-restrictions': () => {
      rules.restrictions.clear();
    },
    'GET /policies': () => ({ policies: rules.policies.list() }),
    'POST /policies': ({ body }) => {
      rules.policies.add(policyFrom(schema, asObject(body)));
    },
    'DELETE /policies': () => {
      rules.policies.clear();
    },
    'GET /jobs': () => ({ jobs: scheduler.list() }),
    'POST /jobs/:name/run': ({ params }) => {
      try {
        return { changed: scheduler.run(params['name'] ?? '') };
      } catch (error) {
        if (error instanceof RangeError) throw new AdminError(404, error.message);
        throw error;
      }
    },
  };
}

function restrictionFrom(schema: Schema, body: Record<string, unknown>): FieldRestriction {
  const { table, columns, effect, on = ['create', 'write'] } = body;
  if (
    !isTable(schema, table) ||
    !isTextList(columns) ||
    (effect !== 'refuse' && effect !== 'skip' && effect !== 'revert') ||
    !isTextList(on)
  ) {
    throw new AdminError(400, 'Send {"table","columns":[],"effect":"refuse|skip|revert","on":["create","write"]}; "on" may be left out.');
  }
  return { table, columns, effect, on: on as FieldRestriction['on'], because: 'added by an administrator' };
}

function policyFrom(schema: Schema, body: Record<string, unknown>): Policy {
  const { kind, table, name, condition = '', mandatory, on = ['insert', 'update'], sysId, stack = [] } = body;
  if (isTable(schema, table) && typeof condition === 'string') {
    if (kind === 'data-policy' && isTextList(mandatory)) return { kind, table, condition, mandatory };
    const hasRecord = sysId === undefined || typeof sysId === 'string';
    if (kind === 'business-rule' && typeof name === 'string' && isTextList(on) && hasRecord && Array.isArray(stack)) {
      return {
        kind,
        table,
        condition,
        name,
        on: on as AbortRule['on'],
        stack: stack as string[],
        ...(sysId === undefined ? {} : { sysId }),
      };
    }
  }
  throw new AdminError(
    400,
    'Send {"kind":"data-policy","table","condition","mandatory":[]} or {"kind":"business-rule","table","condition","name","on":["insert","update"],"sysId","stack":[]}; "condition", "on", "sysId" and "stack" may be left out.',
  );
}

function isTable(schema: Schema, value: unknown): value is string {
  return typeof value === 'string' && schema.get(value) !== undefined;
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'string');
}

function asObject(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new AdminError(400, 'Send a JSON object.');
  return body as Record<string, unknown>;
}
