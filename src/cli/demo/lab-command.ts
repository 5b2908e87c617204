/** `defender-sync lab`: the local Azure and the local ServiceNow alone. */
import { relative, resolve } from 'node:path';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { parseEstate } from './estate.ts';
import { startLab } from './lab-process.ts';

/** Runs the lab until Ctrl-C; `<dir>/lab.json` lets any client in while it runs. */
export async function labCommand(context: CliContext, options: { readonly estate?: string; readonly dir: string }): Promise<ExitCode> {
  const estate = parseEstate(options.estate);
  return withReleases(async (releases) => {
    context.output.note(`Starting the lab with the estate ${estate.spec} …`);
    const lab = await startLab(context, { dir: resolve(options.dir), estate: estate.spec }, releases);
    const { azure, serviceNow, admin } = lab.description;
    context.output.note(`  Azure       ${azure.arm}, tokens from ${azure.authority}`);
    context.output.note(`  ServiceNow  ${serviceNow.url}, tables at ${serviceNow.url}/lab/`);
    context.output.note(`  Admin       ${admin.url}`);
    context.output.note(
      `Ready. ${relative('', lab.file)} lets clients in: addresses, authority, tenants with their secrets, users. Ctrl-C stops it.`,
    );
    await Promise.race([context.interrupts.wait(), lab.failed]);
    return exitCodes.inSync;
  });
}
