import type { BusinessRule } from '../store.ts';
import { isPlatform } from './platform-users.ts';

/**
 * An insert loses its `vulnerability`; a later PATCH of it sticks (servicenow.md §5.3). Recorded on sn_vul_vulnerable_item; that the
 * container item behaves alike is the lab's choice.
 */
export function blankVulnerabilityOnInsert(isStrict: () => boolean): BusinessRule[] {
  return ['sn_vul_vulnerable_item', 'sn_vul_container_image_vulnerable_item'].map((table) => ({
    table,
    apply: (values, before, { actor }) => {
      if (isStrict() && before === undefined && !isPlatform(actor)) values['vulnerability'] = '';
    },
  }));
}
