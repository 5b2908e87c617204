/** The five integrations in the order in which they must run. */
import type { Integration, IntegrationName } from '../model.ts';
import { assessments } from './assessments.ts';
import { containerImages } from './container-images.ts';
import { metadata } from './metadata.ts';
import { policies } from './policies.ts';
import { standards } from './standards.ts';

const byName: Readonly<Record<IntegrationName, Integration>> = {
  policies,
  metadata,
  standards,
  assessments,
  'container-images': containerImages,
};

export const integrations: readonly Integration[] = [policies, metadata, standards, assessments, containerImages];

/** The integration of that name. */
export function integrationOf(name: IntegrationName): Integration {
  return byName[name];
}
