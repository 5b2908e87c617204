/** Which estate the lab shows: the words of `--estate`. */
import { resolve } from 'node:path';
import { existsSync, statSync } from 'node:fs';
import { SyncError } from '../../errors.ts';

/** A made-up company: a tree of management groups, subscriptions with names one would give, AWS and GCP, a registry with images. */
export const defaultEstate = 'company';

export interface Estate {
  /** As the lab takes it; folders are absolute. */
  readonly spec: string;
  /** A folder name of its own: two estates never share data. */
  readonly folder: string;
}

/** Errors: {@link SyncError} `usage` when the words are not understood. */
export function parseEstate(spec: string = defaultEstate): Estate {
  if (spec === defaultEstate) return { spec, folder: spec };
  const generated = /^generated:(\d{1,9}):(\d{1,8})$/.exec(spec);
  if (generated !== null && Number(generated[2]) > 0) return { spec, folder: spec.replaceAll(':', '-') };
  if (spec.startsWith('recordings:') && spec.length > 'recordings:'.length) {
    const dir = resolve(spec.slice('recordings:'.length));
    if (!existsSync(dir) || !statSync(dir).isDirectory()) {
      throw new SyncError({
        kind: 'usage',
        message: `There is no folder ${dir} with recordings.`,
        remedy: 'Correct the folder after recordings:.',
      });
    }
    return { spec: `recordings:${dir}`, folder: `recordings${dir.replaceAll(/[^A-Za-z0-9]+/g, '-')}` };
  }
  throw new SyncError({
    kind: 'usage',
    message: `${JSON.stringify(spec)} is not an estate.`,
    remedy: `Write ${defaultEstate}, generated:<seed>:<assessments>, for example generated:7:20000, or recordings:<dir>.`,
  });
}
