/**
 * The command line: names, options, help. What a command does stands in commands/, loaded when it is called: help and mistakes of the
 * command line need not wait for the libraries of the engine.
 */
import { Command, CommanderError, type OutputConfiguration } from 'commander';
import { defaultConfigurationFile } from '../config/index.ts';
import type { CliContext } from './context.ts';

export interface GlobalOptions {
  readonly config: string;
  readonly verbose: boolean;
}

export interface ProgramOptions {
  /** Makes what a command needs, from the options before its name. */
  readonly contextOf: (options: GlobalOptions) => CliContext;
  readonly output: Required<Pick<OutputConfiguration, 'writeOut' | 'writeErr' | 'getOutHasColors' | 'getErrHasColors'>>;
}

/**
 * Parses the arguments and runs the command.
 * @param args without the program's name
 * Returns the exit code. Rejects with the command's error, or with commander's for usage errors (already printed) and for help.
 */
export async function runProgram(args: readonly string[], { contextOf, output }: ProgramOptions): Promise<number> {
  let exitCode = 0;
  const run = (command: (context: CliContext) => Promise<number>) => async (): Promise<void> => {
    exitCode = await command(contextOf(program.opts<GlobalOptions>()));
  };
  const program = new Command('defender-sync')
    .description('Keeps ServiceNow true to Microsoft Defender for Cloud.')
    .option('-c, --config <file>', 'the configuration', defaultConfigurationFile)
    .option('--verbose', 'show what goes on, and where an error comes from', false)
    .enablePositionalOptions()
    .showHelpAfterError('(defender-sync --help lists the commands)')
    .exitOverride()
    .configureOutput(output)
    .addHelpText('after', exitCodeHelp);
  addRunCommands(program, run);
  addLocalCommands(program, run);
  if (args.length === 0) {
    program.outputHelp({ error: true });
    throw new CommanderError(2, 'defender-sync.no-command', 'no command');
  }
  await program.parseAsync([...args], { from: 'user' });
  return exitCode;
}

const exitCodeHelp = `
Exit codes: 0 in sync, 1 failed, 2 usage, 3 degraded (something was left out, the report says what), 4 parked (waits for a person).`;

type Run = (command: (context: CliContext) => Promise<number>) => () => Promise<void>;

const json = ['--json', 'print JSON on stdout and nothing else there'] as const;
const deploymentArgument = ['[deployment]', 'its name in the configuration; default: all'] as const;

function addRunCommands(program: Command, run: Run): void {
  program
    .command('sync')
    .description('start a run, or join the one under way, and print its report')
    .argument(...deploymentArgument)
    .option('--wait', 'keep following a run that is parked, until it has ended')
    .option(...json)
    .action((deployment: string | undefined, options: { json?: boolean; wait?: boolean }) =>
      run(async (context) =>
        (await import('./commands/sync.ts')).syncCommand(context, {
          deployment,
          wait: options.wait === true,
          json: options.json === true,
        }),
      )(),
    );
  program
    .command('status')
    .description('show the newest run of each deployment')
    .option(...json)
    .action((options: { json?: boolean }) =>
      run(async (context) => (await import('./commands/status.ts')).statusCommand(context, { json: options.json === true }))(),
    );
  program
    .command('report')
    .description('print the newest report')
    .argument(...deploymentArgument)
    .option('--run <id>', 'the report of this run')
    .option(...json)
    .action((deployment: string | undefined, options: { json?: boolean; run?: string }) =>
      run(async (context) =>
        (await import('./commands/report.ts')).reportCommand(context, { deployment, run: options.run, json: options.json === true }),
      )(),
    );
  program
    .command('recheck')
    .description('ask a parked run to look again now whether it may go on')
    .argument(...deploymentArgument)
    .option(...json)
    .action((deployment: string | undefined, options: { json?: boolean }) =>
      run(async (context) =>
        (await import('./commands/recheck.ts')).recheckCommand(context, { deployment, json: options.json === true }),
      )(),
    );
  program
    .command('doctor')
    .description('check sign-ins, permissions and the instance, without a run')
    .argument(...deploymentArgument)
    .option(...json)
    .action((deployment: string | undefined, options: { json?: boolean }) =>
      run(async (context) => (await import('./commands/doctor.ts')).doctorCommand(context, { deployment, json: options.json === true }))(),
    );
  program
    .command('explain')
    .description('tell the story of a resource: who saw it, which CI it is, and every write made for it')
    .argument('<resource>', 'its id in any spelling, an image digest, or the sys_id of its CI or of one of its records')
    .option(...json)
    .action((resource: string, options: { json?: boolean }) =>
      run(async (context) => (await import('./commands/explain.ts')).explainCommand(context, { resource, json: options.json === true }))(),
    );
  addCiCommands(program.command('cis').description('placeholder CIs, and what Discovery made beside them'), run);
  addAttachmentCommands(
    program.command('attachments').description("attachments that pile up on the data sources of ServiceNow's own plugin"),
    run,
  );
  program
    .command('schedules')
    .description('manage the schedules')
    .command('apply')
    .description('make the schedules on the Temporal server equal to the configuration')
    .option('--dry-run', 'only say what would change')
    .option(...json)
    .action((options: { json?: boolean; dryRun?: boolean }) =>
      run(async (context) =>
        (await import('./commands/schedules.ts')).schedulesApplyCommand(context, {
          dryRun: options.dryRun === true,
          json: options.json === true,
        }),
      )(),
    );
}

function addCiCommands(cis: Command, run: Run): void {
  cis
    .command('pairs')
    .description('list placeholders that have a class-specific CI beside them, with the evidence; only reads the instance')
    .option(...json)
    .action((options: { json?: boolean }) =>
      run(async (context) => (await import('./commands/cis-pairs.ts')).cisPairsCommand(context, { json: options.json === true }))(),
    );
  cis
    .command('reconcile')
    .description('re-point discovered items and results from placeholders to their specific CIs, exactly as listed; or take that back')
    .argument('[pairs]', 'the id of a list of pairs')
    .option('--only <resource>', 'only the pair of this resource, by its id in any spelling')
    .option('--undo <reconcile>', 'put back what this reconcile re-pointed')
    .option('--yes', 'do not ask')
    .option(...json)
    .addHelpText(
      'after',
      '\nA pair that changed since it was listed is refused, with the difference. No CI is deleted or retired: the placeholder stays, unused.',
    )
    .action((pairs: string | undefined, options: { only?: string; undo?: string; yes?: boolean; json?: boolean }) =>
      run(async (context) =>
        (await import('./commands/cis-reconcile.ts')).cisReconcileCommand(context, {
          setId: pairs,
          only: options.only,
          undo: options.undo,
          yes: options.yes === true,
          json: options.json === true,
        }),
      )(),
    );
}

function addAttachmentCommands(attachments: Command, run: Run): void {
  attachments
    .command('list')
    .description("list what hangs on the plugin's data sources, and what of it is surplus; only reads the instance")
    .option(...json)
    .action((options: { json?: boolean }) =>
      run(async (context) =>
        (await import('./commands/attachments-list.ts')).attachmentsListCommand(context, { json: options.json === true }),
      )(),
    );
  attachments
    .command('delete')
    .description('delete the surplus, exactly as listed')
    .argument('[list]', 'the id of a list of attachments')
    .option('--yes', 'do not ask')
    .option(...json)
    .addHelpText(
      'after',
      '\nA data source where anything changed since it was listed is refused, with the difference. The newest attachment of each stays.',
    )
    .action((list: string | undefined, options: { yes?: boolean; json?: boolean }) =>
      run(async (context) =>
        (await import('./commands/attachments-delete.ts')).attachmentsDeleteCommand(context, {
          listId: list,
          yes: options.yes === true,
          json: options.json === true,
        }),
      )(),
    );
}

function addLocalCommands(program: Command, run: Run): void {
  const estate = ['--estate <spec>', 'company (the default), generated:<seed>:<assessments> or recordings:<dir>'] as const;
  program
    .command('up')
    .description('run a worker, and the servers that come along, until Ctrl-C')
    .action(() => run(async (context) => (await import('./commands/up.ts')).upCommand(context))());
  program
    .command('demo')
    .description('sync two made-up estates into a local ServiceNow, twice, and leave everything up to look at')
    .option(...estate)
    .option('--once', 'exit when the runs are over')
    .option('--json', 'print the four reports as one JSON array on stdout and nothing else there')
    .option('--dir <folder>', 'where its data is kept; default: .defender-sync/demo/<estate>')
    .action((options: { estate?: string; once?: boolean; json?: boolean; dir?: string }) =>
      run(async (context) =>
        (await import('./demo/demo.ts')).demoCommand(context, {
          estate: options.estate,
          once: options.once === true,
          json: options.json === true,
          dir: options.dir,
        }),
      )(),
    );
  program
    .command('lab')
    .description('run the local Azure and the local ServiceNow until Ctrl-C')
    .option(...estate)
    .option('--dir <folder>', 'where its data is kept; default: .defender-sync/lab')
    .action((options: { estate?: string; dir?: string }) =>
      run(async (context) => (await import('./demo/lab-command.ts')).labCommand(context, { estate: options.estate, dir: options.dir }))(),
    );
  program
    .command('temporal')
    .description('the temporal command line, pointed at the server of this folder')
    .argument('[args...]')
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action((args: string[]) => run(async (context) => (await import('./commands/temporal.ts')).temporalCommand(context, args))());
}
