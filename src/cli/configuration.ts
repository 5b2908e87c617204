/** The configuration as commands load it. */
import { loadConfiguration, type Configuration } from '../config/index.ts';
import type { CliContext } from './context.ts';

/**
 * Loads `--config`.
 * @param needs `secrets` for commands that sign in somewhere; those that only read what is stored do without
 * Errors: SyncError `usage`, one line per problem.
 */
export function configurationOf({ configFile, environment }: CliContext, needs: 'secrets' | 'nothing-secret'): Configuration {
  return loadConfiguration(configFile, { variables: environment.variables, needSecrets: needs === 'secrets' });
}
