import { COMPANY_ASSESSMENTS, COMPANY_PROFILE } from './company.ts';
import { createGeneratedEstate } from './generated/index.ts';
import { profileFor } from './large.ts';
import type { Estate, EstateChanges } from './model.ts';
import { overlapProfile } from './overlap.ts';
import { loadRecordings } from './recordings/index.ts';

/**
 * Opens an estate by its name: `company` (the default), `generated:<seed>:<assessments>` (above 50,000 a subscription per thousand),
 * `overlap:<seed>:<assessments>:<deployments>[:<percent>]`, `recordings:<dir>`.
 * Throws where the name is none of these, or where a recorded file is missing.
 */
export async function openEstate(spec: string, changes: EstateChanges): Promise<Estate> {
  if (spec === '' || spec === 'company') {
    return createGeneratedEstate({ name: 'company', profile: COMPANY_PROFILE, seed: 'company', assessments: COMPANY_ASSESSMENTS, changes });
  }
  const generated = /^generated:([^:]+):(\d+)$/.exec(spec);
  if (generated !== null) {
    const [, seed = '', assessments = ''] = generated;
    const profile = profileFor(Number(assessments));
    return createGeneratedEstate({ name: spec, profile, seed, assessments: Number(assessments), changes });
  }
  const overlap = /^overlap:([^:]+):(\d+):(\d+)(?::(\d+))?$/.exec(spec);
  if (overlap !== null) {
    const [, seed = '', assessments = '', deployments = '', percent] = overlap;
    const profile = overlapProfile(Number(deployments), percent === undefined ? undefined : Number(percent));
    return createGeneratedEstate({ name: spec, profile, seed, assessments: Number(assessments), changes });
  }
  if (spec.startsWith('recordings:')) return loadRecordings(spec.slice('recordings:'.length), changes);
  throw new Error(
    `Unknown estate '${spec}': use company, generated:<seed>:<assessments>, overlap:<seed>:<assessments>:<deployments>[:<percent>] or recordings:<dir>.`,
  );
}
