/** `defender-sync recheck [deployment]` */
import { deploymentConfig, deploymentNames } from '../../config/index.ts';
import { renderFindings } from '../../preflight/render.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { withReleases } from '../releases.ts';
import { recheckRun, type Recheck } from '../runs/parked-run.ts';
import { openTemporal } from '../servers.ts';

export interface RecheckOptions {
  /** Undefined: all. */
  readonly deployment: string | undefined;
  readonly json: boolean;
}

interface Answer {
  readonly deployment: string;
  readonly recheck: Recheck;
}

/** Asks parked runs to look again now whether they may go on, and says what they found. */
export async function recheckCommand(context: CliContext, { deployment, json }: RecheckOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'nothing-secret');
  const names = deployment === undefined ? deploymentNames(configuration) : [deploymentConfig(configuration, deployment).name];
  const { output } = context;
  const answers = await withReleases(async (releases) => {
    const { client } = await openTemporal(context, configuration, releases);
    return Promise.all(names.map(async (name): Promise<Answer> => ({ deployment: name, recheck: await recheckRun(client, name) })));
  });
  if (json) {
    const printed = answers.map(({ deployment: name, recheck }) => ({ deployment: name, ...recheck }));
    output.print(JSON.stringify(deployment === undefined ? printed : printed[0], null, 2));
  } else {
    output.print(answers.map((answer) => renderAnswer(answer, output)).join('\n'));
  }
  const outcomes = answers.map(({ recheck }) => recheck.outcome);
  if (outcomes.includes('no-worker')) return exitCodes.failed;
  return outcomes.some((outcome) => outcome === 'still-parked' || outcome === 'given-up' || outcome === 'checking')
    ? exitCodes.parked
    : exitCodes.inSync;
}

function renderAnswer({ deployment, recheck }: Answer, { style, hasColours }: Output): string {
  const name = style.bold(deployment);
  switch (recheck.outcome) {
    case 'goes-on':
      return `${name} ${style.good('goes on')}: nothing blocks it any more. See it with: defender-sync status`;
    case 'no-run':
      return `${name} has no run under way, so nothing waits. Start one: defender-sync sync ${deployment}`;
    case 'not-parked':
      return `${name} is not parked: its run is at work. See it with: defender-sync status`;
    case 'no-worker':
      return `${name} ${style.bad('no worker answers')}; start one, and the run looks again by itself: defender-sync up`;
    case 'checking':
      return `${name} is being checked, which takes longer than usual. See what comes of it with: defender-sync status`;
    case 'given-up':
      return `${name} ${style.bad('was given up')} meanwhile. Start another run: defender-sync sync ${deployment}`;
    case 'still-parked':
      return `${name} ${style.warning('still waits')}\n\n${renderFindings(recheck.blocking, { colours: hasColours })}`;
  }
}
