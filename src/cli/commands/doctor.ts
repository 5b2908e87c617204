/** `defender-sync doctor [deployment]` */
import type { CheckFinding } from '../../../workflows/contract.ts';
import { deploymentConfig, deploymentNames } from '../../config/index.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { probeLedger, probeTemporal } from '../probes.ts';
import { withReleases } from '../releases.ts';
import { renderDoctor } from '../render/doctor.ts';

export interface DoctorCommandOptions {
  readonly deployment: string | undefined;
  readonly json: boolean;
}

/** Runs the preflight of one or all deployments without a run, and prints what it finds with the remedies. */
export async function doctorCommand(context: CliContext, { deployment, json }: DoctorCommandOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'secrets');
  const names = deployment === undefined ? deploymentNames(configuration) : [deploymentConfig(configuration, deployment).name];
  const { output, engine, interrupts } = context;
  const results = await withReleases(async (releases) => {
    // Whether these answer is a check like any other: the rest is looked at all the same.
    const [{ probe, database }, temporal] = await Promise.all([
      probeLedger(configuration, releases),
      probeTemporal(context, configuration, releases),
    ]);
    const probes = { ledger: probe, temporal };
    const found: { readonly deployment: string; readonly findings: readonly CheckFinding[] }[] = [];
    for (const name of names) {
      const onCheck = (check: string): void => output.showProgress([`${name}: ${check}`]);
      const findings = await engine.runDoctor({
        configuration,
        deployment: name,
        ledger: database,
        probes,
        signal: interrupts.signal,
        onCheck,
      });
      output.showProgress([]);
      found.push({ deployment: name, findings });
    }
    return found;
  });
  if (json) output.print(JSON.stringify(deployment === undefined ? results : results[0], null, 2));
  else output.print(results.map(({ deployment: name, findings }) => renderDoctor(name, findings, output)).join('\n\n'));
  const verdicts = results.flatMap(({ findings }) => findings.map(({ verdict }) => verdict));
  if (verdicts.includes('blocking')) return exitCodes.failed;
  return verdicts.every((verdict) => verdict === 'ok') ? exitCodes.inSync : exitCodes.degraded;
}
