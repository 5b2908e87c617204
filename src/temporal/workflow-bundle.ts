/**
 * The workflow code as one script, which is what a worker runs. Packing it takes longer than everything else that a worker does when it
 * starts, so that it is kept, by what went into it, beside the packages (whoever can write there can change the code itself).
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from '@temporalio/worker';

const projectDir = fileURLToPath(new URL('../../', import.meta.url));
const workflowsDir = join(projectDir, 'workflows');
const packagesDir = join(projectDir, 'node_modules');
const keptIn = join(packagesDir, '.cache', 'defender-sync');
/** Everything that ends up in the bundle, or makes it. */
const packages = ['common', 'proto', 'worker', 'workflow'].map((name) => join(packagesDir, '@temporalio', name, 'package.json'));

/** The kept bundle, or a new one. @param folder where it is kept; one that cannot be written is no error */
export async function workflowBundle(folder: string = keptIn): Promise<WorkflowBundle> {
  const file = join(folder, `workflows-${await digestOfSources()}.js`);
  try {
    return { code: await readFile(file, 'utf8') };
  } catch {
    const bundle = await pack();
    await keep(folder, file, bundle.code);
    return bundle;
  }
}

function pack(): Promise<WorkflowBundle> {
  return bundleWorkflowCode({
    workflowsPath: join(workflowsDir, 'index.ts'),
    // The bundler lists what it packed, which is of no interest to anybody who runs a worker.
    logger: new DefaultLogger('WARN'),
  });
}

async function digestOfSources(): Promise<string> {
  const sources = (await readdir(workflowsDir)).sort().map((name) => join(workflowsDir, name));
  const digest = createHash('sha256').update(process.version);
  for (const file of [...sources, ...packages]) digest.update(`\n${file}\n`).update(await readFile(file));
  return digest.digest('hex').slice(0, 32);
}

/** Whole or not at all, and alone: bundles of former versions go. */
async function keep(folder: string, file: string, code: string): Promise<void> {
  const unfinished = `${file}.${randomUUID()}`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(unfinished, code);
    await rename(unfinished, file);
    const former = (await readdir(folder)).filter((name) => /^workflows-[0-9a-f]{32}\.js$/.test(name) && join(folder, name) !== file);
    for (const name of former) await rm(join(folder, name), { force: true });
  } catch {
    // A read-only installation packs it again at every start.
  }
}
