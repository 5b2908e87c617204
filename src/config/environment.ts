/**
 * The only place that reads the process's environment. Everything else is handed what it needs from here.
 */

/** Environment variables of a process; the type of `process.env`. */
export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

/** What the engine itself takes from the environment (secrets are named by the configuration instead). */
export interface Environment {
  /** All variables, read live: a rotated secret is seen without a restart. */
  readonly variables: EnvironmentVariables;
  /** TEMPORAL_ADDRESS, `host:port`. Used where no configuration says otherwise. */
  readonly temporalAddress: string | undefined;
  /** TEMPORAL_CLI_PATH: the temporal binary to use. */
  readonly temporalCliPath: string | undefined;
  /** NO_COLOR is set to anything but the empty string (no-color.org). */
  readonly noColor: boolean;
  /** TERM=dumb: no cursor movement. */
  readonly dumbTerminal: boolean;
  /** DEFENDER_SYNC_FAILPOINT: where the process ends itself; tests only. */
  readonly failpoint: string | undefined;
}

/** Takes what the engine needs from the environment; empty strings count as not set. */
export function readEnvironment(variables: EnvironmentVariables = process.env): Environment {
  const get = (name: string): string | undefined => (variables[name] === '' ? undefined : variables[name]);
  return {
    variables,
    temporalAddress: get('TEMPORAL_ADDRESS'),
    temporalCliPath: get('TEMPORAL_CLI_PATH'),
    noColor: get('NO_COLOR') !== undefined,
    dumbTerminal: get('TERM') === 'dumb',
    failpoint: get('DEFENDER_SYNC_FAILPOINT'),
  };
}
