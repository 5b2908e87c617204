// The workflow types of the engine. Everything exported here becomes one, so nothing else is.
export { dispatch } from './dispatch.ts';
export { holdDeployment } from './hold-deployment.ts';
export { reconcileCis } from './reconcile-cis.ts';
export { runIntegration } from './run-integration.ts';
export { syncDeployment } from './sync-deployment.ts';
