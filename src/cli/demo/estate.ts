/** Which estate the lab shows: the words of `--estate`. */
import { resolve } from 'node:path';
import { existsSync, statSync } from 'node:fs';
import { SyncError } from '../../errors.ts';

/** Looks like a company: some dozen subscriptions' worth of resources, images and standards, synced in about a minute. */
export const defaultEstate = 'generated:1:3000';

export interface Estate {
  /** As the lab takes it; folders are absolute. */
  readonly spec: string;
  /** A folder name of its own: two estates never share data. */
  readonly folder: string;
}

/** Errors: {@link SyncError} `usage` when the words are not understood. */
export function parseEstate(spec: string = defaultEstate): Estate {
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
    remedy: `Write generated:<seed>:<assessments>, for example ${defaultEstate}, or recordings:<dir>.`,
  });
}
