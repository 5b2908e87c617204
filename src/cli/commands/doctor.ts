/** `defender-sync doctor [deployment]` */
import type { CheckFinding } from '../../../workflows/contract.ts';
import { deploymentConfig, deploymentNames } from '../../config/index.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { Style } from '../output.ts';
import { withReleases } from '../releases.ts';
import { openLedgerOf, openTemporal } from '../servers.ts';
import { counted } from '../table.ts';

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
    const { ledger } = await openLedgerOf(configuration, releases);
    // Whether Temporal answers is a check too: without it this ends here, with the remedy.
    await openTemporal(context, configuration, releases);
    const found: { readonly deployment: string; readonly findings: readonly CheckFinding[] }[] = [];
    for (const name of names) {
      const onCheck = (check: string): void => output.showProgress([`${name}: ${check}`]);
      const findings = await engine.runDoctor({ configuration, deployment: name, ledger, signal: interrupts.signal, onCheck });
      output.showProgress([]);
      found.push({ deployment: name, findings });
    }
    return found;
  });
  if (json) output.print(JSON.stringify(deployment === undefined ? results : results[0], null, 2));
  else output.print(results.map(({ deployment: name, findings }) => renderFindings(name, findings, output.style)).join('\n\n'));
  const verdicts = results.flatMap(({ findings }) => findings.map(({ verdict }) => verdict));
  if (verdicts.includes('blocking')) return exitCodes.failed;
  return verdicts.every((verdict) => verdict === 'ok') ? exitCodes.inSync : exitCodes.degraded;
}

const signs: Readonly<Record<CheckFinding['verdict'], readonly [sign: string, style: keyof Style]>> = {
  ok: ['ok       ', 'good'],
  warning: ['warning  ', 'warning'],
  blocking: ['BLOCKING ', 'bad'],
  'not-readable': ['unknown  ', 'warning'],
  'not-checked': ['skipped  ', 'dim'],
};

/** The findings of one deployment, what blocks first. */
export function renderFindings(deployment: string, findings: readonly CheckFinding[], style: Style): string {
  const order: readonly CheckFinding['verdict'][] = ['blocking', 'warning', 'not-readable', 'not-checked', 'ok'];
  const sorted = findings.toSorted((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict));
  const blocking = findings.filter(({ verdict }) => verdict === 'blocking').length;
  const others = findings.filter(({ verdict }) => verdict === 'warning' || verdict === 'not-readable').length;
  const headline =
    blocking > 0
      ? style.bad(`${counted(blocking, 'check')} of ${findings.length} would stop a run`)
      : others > 0
        ? style.warning(`ready to run, ${counted(others, 'remark')}`)
        : style.good(`ready to run: all of ${counted(findings.length, 'check')} passed`);
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = sorted.flatMap(({ check, verdict, evidence, remedy }) => {
    const [sign, colour] = signs[verdict];
    const indent = ' '.repeat(2 + sign.length);
    return [
      `  ${style[colour](sign)}${check.padEnd(width)}  ${indented(evidence, indent)}`,
      ...(remedy === null ? [] : [`${indent}→ ${indented(remedy, `${indent}  `)}`]),
    ];
  });
  return [`${style.bold(deployment)} ${headline}`, '', ...lines].join('\n');
}

function indented(text: string, indent: string): string {
  return text.split('\n').join(`\n${indent}`);
}
