import type { ArmRoute } from '../router.ts';
import { authorizationRoutes } from './authorization.ts';
import { connectorRoutes } from './connectors.ts';
import { managementGroupRoutes } from './management-groups.ts';
import { policyRoutes } from './policy.ts';
import { pricingRoutes } from './pricings.ts';
import { regulatoryRoutes } from './regulatory-compliance.ts';
import { assessmentRoutes } from './security-assessments.ts';
import { metadataRoutes } from './security-metadata.ts';
import { standardRoutes } from './security-standards.ts';
import { subAssessmentRoutes } from './sub-assessments.ts';
import { subscriptionRoutes } from './subscriptions.ts';

/** Every resource type this ARM answers, Resource Graph apart. */
export const ARM_ROUTES: readonly ArmRoute[] = [
  ...subscriptionRoutes(),
  ...managementGroupRoutes(),
  ...authorizationRoutes(),
  ...policyRoutes(),
  ...metadataRoutes(),
  ...assessmentRoutes(),
  ...standardRoutes(),
  ...regulatoryRoutes(),
  ...pricingRoutes(),
  ...connectorRoutes(),
  ...subAssessmentRoutes(),
];
