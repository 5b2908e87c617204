import { textAt, type JsonObject } from '../../json.ts';
import { currentKey, type ContentChanges } from '../content-changes.ts';
import { perVersion } from './memo.ts';
import type { StandardPlan } from './standards.ts';

/**
 * What everything that names a recommendation shows once it was re-keyed: rows, metadata and standards follow the new key; the
 * policy behind it keeps the old one, as it did in azure-policy#1595 (azure.md §1.6, §4).
 */
export interface CurrentKeys {
  /** Rises with every new key. */
  readonly version: () => number;
  readonly key: (key: string) => string;
  rule<T extends { readonly key: string }>(rule: T): T;
  /** Metadata under the keys of now. */
  readonly metadata: (rows: readonly JsonObject[]) => readonly JsonObject[];
  readonly standards: (plans: readonly StandardPlan[]) => readonly StandardPlan[];
}

export function createCurrentKeys(content: ContentChanges): CurrentKeys {
  const version = (): number => content.renames.length;
  const renamed = perVersion(version, () => new Map<string, string>());
  const rules = perVersion(version, () => new Map<object, unknown>());
  const key = (original: string): string => {
    const known = renamed().get(original);
    if (known !== undefined) return known;
    const now = currentKey(content, original);
    renamed().set(original, now);
    return now;
  };
  return {
    version,
    key,
    rule: <T extends { readonly key: string }>(rule: T): T => {
      if (version() === 0) return rule;
      const known = rules().get(rule) as T | undefined;
      if (known !== undefined) return known;
      const now = key(rule.key) === rule.key ? rule : { ...rule, key: key(rule.key) };
      rules().set(rule, now);
      return now;
    },
    metadata: (rows) => (version() === 0 ? rows : rows.map((row) => metadataUnder(row, key(textAt(row, 'name'))))),
    standards: (plans) =>
      version() === 0
        ? plans
        : plans.map((plan) => ({ ...plan, controls: plan.controls.map((control) => ({ ...control, keys: control.keys.map(key) })) })),
  };
}

function metadataUnder(row: JsonObject, key: string): JsonObject {
  return row.name === key ? row : { ...row, id: `/providers/Microsoft.Security/assessmentMetadata/${key}`, name: key };
}
