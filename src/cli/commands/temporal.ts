/** `defender-sync temporal <any arguments>`: the temporal CLI, pointed at the server of this folder. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { existsSync } from 'node:fs';
import { defaultConfigurationFile, type EnvironmentVariables, type TemporalSettings } from '../../config/index.ts';
import { SyncError } from '../../errors.ts';
import { locateTemporalCli } from '../../temporal/cli-binary.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { readTemporalRecord } from '../servers.ts';
import { answersAt } from '../tcp.ts';

/** Runs the binary with our own terminal and returns its exit code. */
export async function temporalCommand(context: CliContext, args: readonly string[]): Promise<number> {
  const { environment, output, verbose, interrupts } = context;
  const where = needsServer(args) ? await addressFor(context, args) : {};
  const cli = await locateTemporalCli({
    environment: environment.variables,
    log: (sentence) => {
      if (verbose || sentence.startsWith('Fetching')) output.note(sentence);
    },
  });
  // Ctrl-C reaches the child by itself; we wait for its end.
  interrupts.dispose();
  process.on('SIGINT', ignore);
  const child = spawn(cli.path, args, { stdio: 'inherit', env: { ...environment.variables, ...where } });
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code, signal) => done(signal === null ? (code ?? exitCodes.failed) : 128 + constants.signals[signal]));
  });
}

function ignore(): void {
  // The child decides what Ctrl-C means.
}

/** Help, versions, shell completion and servers of one's own need no server of ours. */
function needsServer(args: readonly string[]): boolean {
  const [first] = args.filter((arg) => !arg.startsWith('-'));
  const asksForHelp = args.some((arg) => ['--help', '-h', '--version', '-v'].includes(arg));
  return first !== undefined && !asksForHelp && !['help', 'completion', 'env', 'config', 'server'].includes(first);
}

/** What the CLI's environment needs to find the server: the caller's own choice first, then the configuration's, then a local one. */
async function addressFor(context: CliContext, args: readonly string[]): Promise<EnvironmentVariables> {
  const chosen = args.some((arg) => arg === '--address' || arg.startsWith('--address='));
  if (chosen || context.environment.temporalAddress !== undefined) return {};
  const configured = configuredServer(context);
  const record = configured ?? readTemporalRecord(stateDirOf(context));
  if (record === undefined || !(await answersAt(record.address))) {
    throw new SyncError({
      kind: 'usage',
      service: 'temporal',
      message:
        record === undefined ? 'No Temporal server was started from this folder yet.' : `No Temporal server answers at ${record.address}.`,
      remedy: 'Start one with defender-sync up (or demo) in another terminal, or name yours with --address.',
    });
  }
  return {
    TEMPORAL_ADDRESS: record.address,
    TEMPORAL_NAMESPACE: context.environment.variables['TEMPORAL_NAMESPACE'] ?? record.namespace,
    ...(configured === undefined ? {} : signInOf(configured)),
  };
}

type Configured = TemporalSettings & { readonly address: string };

/** What the configuration file says of a server of one's own, if there is such a file. */
function configuredServer(context: CliContext): Configured | undefined {
  if (context.configFile === defaultConfigurationFile && !existsSync(context.configFile)) return undefined;
  const { temporal } = configurationOf(context, 'nothing-secret');
  return temporal.address === undefined ? undefined : { ...temporal, address: temporal.address };
}

/** In the names that the CLI reads (temporal.md §3.5); never as arguments, which every user of the machine can read. */
function signInOf({ tls, apiKey }: Configured): EnvironmentVariables {
  const named = {
    TEMPORAL_API_KEY: apiKey?.reveal(),
    TEMPORAL_TLS: tls === undefined ? undefined : 'true',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: tls?.caFile,
    TEMPORAL_TLS_CLIENT_CERT_PATH: tls?.certificateFile,
    TEMPORAL_TLS_CLIENT_KEY_PATH: tls?.keyFile,
    TEMPORAL_TLS_SERVER_NAME: tls?.serverName,
  };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

function stateDirOf(context: CliContext): string {
  return existsSync(context.configFile)
    ? configurationOf(context, 'nothing-secret').stateDir
    : join(dirname(resolve(context.configFile)), '.defender-sync');
}
