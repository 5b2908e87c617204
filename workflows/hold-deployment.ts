import { condition, defineSignal, setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import { releaseSignalName, reconcileSummary, searchAttributes, type HoldInput } from './contract.ts';

export const releaseSignal = defineSignal(releaseSignalName);

/**
 * Holds `sync/<deployment>` for somebody who works on the deployment's records without being a run of it. It does nothing: whoever wants
 * to start a run meets it as they would meet another run, and it ends with its parent, whatever becomes of that.
 */
export async function holdDeployment({ deployment, request }: HoldInput): Promise<void> {
  let released = false;
  setHandler(releaseSignal, () => {
    released = true;
  });
  upsertSearchAttributes([{ key: searchAttributes.phase, value: 'reconciling' }]);
  setCurrentDetails(`**${deployment}** · held while its records are re-pointed: ${reconcileSummary(request)}`);
  await condition(() => released);
}
