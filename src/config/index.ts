/** The configuration: one file, validated, typed; and the only reader of the environment. */
export { readEnvironment, type Environment, type EnvironmentVariables } from './environment.ts';
export {
  defaultConfigurationFile,
  deploymentConfig,
  deploymentNames,
  loadConfiguration,
  readConfiguration,
  type ConfigurationProblem,
  type LoadOptions,
} from './load.ts';
export { Secret, secretFrom, secretUnreadable, type SecretRef } from './secret.ts';
export { nearestWord } from './suggest.ts';
export * from './types.ts';
