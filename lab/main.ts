/**
 * The lab as a process of its own: a local Azure, a local ServiceNow and their admin API.
 *
 *   node lab/main.ts --dir <folder> [--estate <spec>] [--persist] [--profile plain|strict] [--edition classic|usem] [--domains]
 *                    [--batch-quota-ms N] [--latency 60ms] [--per-write 12ms] [--threads 4] [--queue 50]
 *
 * Prints one line, `lab ready <path of lab.json>`, once both servers answer. SIGTERM and SIGINT stop it cleanly.
 */
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { parseDurationMs } from './servicenow/latency.ts';
import { BUSINESS_PROFILES, isBusinessProfile } from './servicenow/rules/index.ts';
import { startLab, type LabOptions } from './start.ts';

/**
 * How far the heap may grow beyond what is alive before it is collected, in percent. Every page leaves a megabyte of garbage behind; left
 * to itself the collector lets that pile up to several times what the lab holds.
 */
const HEAP_GROWING_PERCENT = 40;

function readOptions(): LabOptions {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string' },
      estate: { type: 'string' },
      persist: { type: 'boolean', default: false },
      profile: { type: 'string' },
      edition: { type: 'string' },
      'batch-quota-ms': { type: 'string' },
      latency: { type: 'string' },
      'per-write': { type: 'string' },
      threads: { type: 'string' },
      queue: { type: 'string' },
      domains: { type: 'boolean', default: false },
    },
  });
  if (values.dir === undefined) throw new Error('Say where the lab keeps its files: --dir <folder>.');
  const { profile, edition } = values;
  if (edition !== undefined && edition !== 'classic' && edition !== 'usem') {
    throw new Error(`--edition takes classic or usem, not "${edition}".`);
  }
  if (profile !== undefined && !isBusinessProfile(profile)) {
    throw new Error(`--profile takes ${BUSINESS_PROFILES.join(' or ')}, not "${profile}".`);
  }
  const batchQuotaMs = wholeNumber('--batch-quota-ms', values['batch-quota-ms']);
  const perRequestMs = duration('--latency', values.latency);
  const perWriteMs = duration('--per-write', values['per-write']);
  const threads = wholeNumber('--threads', values.threads);
  const queueLimit = wholeNumber('--queue', values.queue);
  return {
    dir: values.dir,
    ...(values.estate === undefined ? {} : { estate: values.estate }),
    persist: values.persist,
    domains: values.domains,
    ...(profile === undefined ? {} : { profile }),
    ...(edition === undefined ? {} : { edition }),
    latency: {
      ...(perRequestMs === undefined ? {} : { perRequestMs }),
      ...(perWriteMs === undefined ? {} : { perWriteMs }),
      ...(threads === undefined ? {} : { threads }),
      ...(queueLimit === undefined ? {} : { queueLimit }),
    },
    ...(batchQuotaMs === undefined ? {} : { batchQuotaMs }),
  };
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`${name} takes a whole number, not "${text}".`);
  return Number(text);
}

/** `60`, `60ms` or `1.5s`, in milliseconds. */
function duration(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const milliseconds = parseDurationMs(text);
  if (milliseconds === undefined) throw new Error(`${name} takes a duration like 60ms, not "${text}".`);
  return milliseconds;
}

async function main(): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${String(HEAP_GROWING_PERCENT)}`);
  const lab = await startLab(readOptions());
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    lab.close().catch((error: unknown) => {
      console.error(Error.isError(error) ? error.message : error);
      process.exitCode = 1;
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  console.log(`lab ready ${lab.labFile}`);
}

main().catch((error: unknown) => {
  console.error(Error.isError(error) ? error.message : error);
  process.exitCode = 1;
});
