/** Two faults at once: one visit shows both, and neither is taken for the other. */
import { azureStates } from './azure.ts';
import { entraStates } from './entra.ts';
import { graphStates } from './graph.ts';
import { modelStates } from './servicenow-model.ts';
import type { State } from './state.ts';

function named(states: readonly State[], name: string): State {
  const found = states.find(({ state }) => state === name);
  if (found === undefined) throw new Error(`There is no state "${name}".`);
  return found;
}

/** Both are given, and both are found; what the first makes unanswerable of the second is not asked. */
function both(first: State, second: State, hidden: { readonly bySecond?: true; readonly notChecked?: readonly string[] } = {}): State {
  return {
    state: `${first.state}; ${second.state}`,
    give: async (labs): Promise<void> => {
      await first.give?.(labs);
      await second.give?.(labs);
    },
    choose: async (labs) => {
      const [one, other] = [(await first.choose?.(labs)) ?? {}, (await second.choose?.(labs)) ?? {}];
      return { ...one, ...other, serviceNow: { ...one.serviceNow, ...other.serviceNow }, more: { ...one.more, ...other.more } };
    },
    finds: (labs) => [...first.finds(labs), ...(hidden.bySecond ? [] : second.finds(labs))],
    notChecked: hidden.notChecked ?? [...(first.notChecked ?? []), ...(second.notChecked ?? [])],
  };
}

const dataSource = named(modelStates, 'the data source is spelled in other letters');
const delegated = named(graphStates, 'only Delegated, the registration readable');
const noConsent = named(graphStates, 'Application without consent, the registration readable');
const wrongSecret = named(entraStates, 'wrong secret');
const skewed = named(entraStates, 'the clock of the worker is an hour behind');
const invisible = named(azureStates, 'a subscription is not visible');
const allInvisible = named(azureStates, 'no subscription is visible');
const noPlan = named(azureStates, 'no paid plan: standards are not applicable');

export const pairStates: readonly State[] = [
  both(wrongSecret, dataSource),
  // Without a token nobody can say anything of the permissions: it must not be said that they are missing.
  both(wrongSecret, delegated, { bySecond: true }),
  both(wrongSecret, allInvisible, { bySecond: true, notChecked: wrongSecret.notChecked ?? [] }),
  both(delegated, invisible),
  both(delegated, allInvisible),
  both(noConsent, dataSource),
  both(skewed, delegated),
  both(noPlan, dataSource),
];
