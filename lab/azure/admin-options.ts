import { AdminError } from '../kit/admin-api.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { PAGE_QUIRKS, ROW_QUIRKS, type AzureLabOptions } from './options.ts';

/** Sets what may be changed while the lab runs; AdminError 400 for a name or value that is none. */
export function setOptions(options: AzureLabOptions, value: JsonObject): void {
  const setters: Record<string, (given: Json) => void> = {
    pageQuirk: (given) => {
      options.pageQuirk = oneOf('pageQuirk', given, PAGE_QUIRKS);
    },
    rowQuirks: (given) => {
      if (!Array.isArray(given)) throw new AdminError(400, `options.rowQuirks is a list of ${ROW_QUIRKS.join(', ')}.`);
      options.rowQuirks = (given as readonly Json[]).map((quirk) => oneOf('rowQuirks', quirk, ROW_QUIRKS));
    },
    rowQuirkEvery: (given) => {
      options.rowQuirkEvery = wholeNumber('rowQuirkEvery', given);
    },
    graphTotals: (given) => {
      options.graphTotals = oneOf('graphTotals', given, ['steady', 'moving'] as const);
    },
    graphOrder: (given) => {
      options.graphOrder = oneOf('graphOrder', given, ['kept', 'unreliable'] as const);
    },
    throttling: (given) => {
      options.throttling = oneOf('throttling', given, ['enforced', 'headers'] as const);
    },
    metadataCap: (given) => {
      options.metadataCap = wholeNumber('metadataCap', given);
    },
    tokenLifetimeSeconds: (given) => {
      options.tokenLifetimeSeconds = wholeNumber('tokenLifetimeSeconds', given);
    },
    graphPayloadBytes: (given) => {
      options.graphPayloadBytes = wholeNumber('graphPayloadBytes', given);
    },
    graphScopeLimit: (given) => {
      options.graphScopeLimit = wholeNumber('graphScopeLimit', given);
    },
    pageSizes: (given) => setPageSizes(options, given),
  };
  for (const [name, given] of Object.entries(value)) {
    const set = setters[name];
    if (set === undefined || given === undefined)
      throw new AdminError(
        400,
        `'${name}' is no option that can be changed while the lab runs; there are ${Object.keys(setters).join(', ')}.`,
      );
    set(given);
  }
}

function setPageSizes(options: AzureLabOptions, given: Json): void {
  if (!isJsonObject(given)) throw new AdminError(400, 'options.pageSizes is an object.');
  for (const [name, size] of Object.entries(given)) {
    if (!(name in options.pageSizes)) throw new AdminError(400, `There is no page size called '${name}'.`);
    options.pageSizes[name as keyof AzureLabOptions['pageSizes']] = wholeNumber(`pageSizes.${name}`, size);
  }
}

function oneOf<T extends string>(name: string, given: Json, values: readonly T[]): T {
  const found = values.find((value) => value === given);
  if (found === undefined) throw new AdminError(400, `options.${name} is one of ${values.join(', ')}.`);
  return found;
}

function wholeNumber(name: string, value: Json | undefined): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    throw new AdminError(400, `options.${name} is a whole number of at least 1.`);
  return value;
}
