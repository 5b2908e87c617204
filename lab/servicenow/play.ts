import type { AdminHandlers } from '../kit/admin-api.ts';
import { administratorHandlers } from './play-administrator.ts';
import { discoveryHandlers } from './play-discovery.ts';
import { pluginHandlers, type PluginContext } from './play-plugin.ts';

/** The others who act on an instance; each example of README.md is one call. */
export function playHandlers(context: PluginContext): AdminHandlers {
  return { ...administratorHandlers(context), ...discoveryHandlers(context.store), ...pluginHandlers(context) };
}
