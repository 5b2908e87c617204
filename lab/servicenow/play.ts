import type { AdminHandlers } from '../kit/admin-api.ts';
import type { Access } from './access.ts';
import { administratorHandlers } from './play-administrator.ts';
import { discoveryHandlers } from './play-discovery.ts';
import { pluginHandlers } from './play-plugin.ts';
import type { Store } from './store.ts';

/** The others who act on an instance; each example of README.md is one call. */
export function playHandlers(context: { store: Store; access: Access }): AdminHandlers {
  return { ...administratorHandlers(context), ...discoveryHandlers(context.store), ...pluginHandlers(context) };
}
