/** `defender-sync lab`: the local Azure and the local ServiceNow alone. */
import { join, relative, resolve } from 'node:path';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { announceLab, stateDir } from './announce.ts';
import { writeDemoConfiguration } from './demo-configuration.ts';
import { parseEstate } from './estate.ts';
import { startLab } from './lab-process.ts';

export interface LabCommandOptions {
  readonly estate: string | undefined;
  /** Undefined: `.defender-sync/lab`, and `.defender-sync/lab.json` leads there. */
  readonly dir: string | undefined;
}

/** Runs the lab until Ctrl-C. While it runs, lab.json lets any client in, and a configuration beside it lets this engine in. */
export async function labCommand(context: CliContext, options: LabCommandOptions): Promise<ExitCode> {
  const { output, interrupts } = context;
  const estate = parseEstate(options.estate);
  const dir = resolve(options.dir ?? join(stateDir, 'lab'));
  return withReleases(async (releases) => {
    output.note(`Starting the lab with the estate ${estate.spec} in ${relative('', dir) || '.'} …`);
    const lab = await startLab(context, { dir, estate: estate.spec }, releases);
    if (options.dir === undefined) announceLab(lab, releases);
    const configuration = writeDemoConfiguration(dir, lab.description);
    const { azure, serviceNow, admin } = lab.description;
    const lines = [
      'Ready. Ctrl-C stops it.',
      `  Azure       ${azure.arm}, tokens from ${azure.authority}`,
      `  ServiceNow  ${serviceNow.url}, tables at ${serviceNow.url}/lab/`,
      `  Admin       ${admin.url}`,
      `  For others  ${relative('', options.dir === undefined ? join(stateDir, 'lab.json') : lab.file)} (addresses, authority, tenants with their secrets, users)`,
      `  For us      npm run defender-sync -- --config ${relative('', configuration.file)} sync`,
    ];
    output.note(lines.join('\n'));
    await Promise.race([interrupts.wait(), lab.failed]);
    return exitCodes.inSync;
  });
}
