import type { Store } from '../store.ts';
import type { ClassChange } from './payload.ts';

/** The engine's switches, as the instance's sys_properties have them now (servicenow.md §5.1, properties). */
export interface IreProperties {
  requiredAttributes: boolean;
  classChange: Record<ClassChange, boolean>;
  updateWithout: Record<ClassChange, boolean>;
  restrictionRules: boolean;
  /** A source of lower priority may fill an empty field. */
  overrideNull: boolean;
  skipDuplicates: boolean;
  duplicateThreshold: number;
  skipSourceMatching: boolean;
  partialItemsMaxSize: number;
  /** An older last_discovered moves neither itself nor discovery_source. */
  keepNewerDiscovery: boolean;
  /** An older source_recency_timestamp does not move last_scan. */
  keepNewerScan: boolean;
  granularLocks: boolean;
  mutexMs: number;
}

const ENGINE = 'glide.identification_engine';
const DEFAULT_MUTEX_MS = 15 * 60_000;

/** Reads them all; a property that is missing has its documented default. */
export function readProperties(store: Store): IreProperties {
  const text = (name: string): string => store.equal('sys_properties', 'name', [name])[0]?.values['value'] ?? '';
  const flag = (name: string, byDefault: boolean): boolean => {
    const value = text(name);
    return value === '' ? byDefault : value === 'true';
  };
  const number = (name: string, byDefault: number): number => {
    const value = Number(text(name));
    return text(name) === '' || !Number.isFinite(value) ? byDefault : value;
  };
  const classFlags = (name: (change: string) => string, byDefault: boolean): Record<ClassChange, boolean> => ({
    UPGRADE: flag(name('upgrade'), byDefault),
    DOWNGRADE: flag(name('downgrade'), byDefault),
    SWITCH: flag(name('switch'), byDefault),
  });
  return {
    requiredAttributes: flag('glide.required.attribute.enabled', true),
    classChange: classFlags((change) => `glide.class.${change}.enabled`, true),
    updateWithout: classFlags((change) => `${ENGINE}.update_without_${change}_enabled`, false),
    restrictionRules: flag(`${ENGINE}.reclassification_restriction_rules_enabled`, true),
    overrideNull: flag('glide.reconciliation.override.null', true),
    skipDuplicates: flag(`${ENGINE}.skip_duplicates`, true),
    duplicateThreshold: number(`${ENGINE}.skip_duplicates.threshold`, 5),
    skipSourceMatching: flag(`${ENGINE}.skip_sys_object_source_matching`, false),
    partialItemsMaxSize: number(`${ENGINE}.partial_payload_items_max_size`, 1000),
    keepNewerDiscovery: flag(`${ENGINE}.skip_updating_source_last_discovered_if_older`, true),
    keepNewerScan: flag(`${ENGINE}.skip_updating_last_scan_if_older`, true),
    granularLocks: flag(`${ENGINE}.granular_insert_locking`, true),
    // 15 minutes are documented, the unit of the property is not: the lab reads milliseconds.
    mutexMs: number(`${ENGINE}.mutex_expiration_time`, DEFAULT_MUTEX_MS),
  };
}
