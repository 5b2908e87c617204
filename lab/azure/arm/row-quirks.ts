import { objectAt, textAt, type Json, type JsonObject } from '../json.ts';
import type { AzureLabOptions, RowQuirk } from '../options.ts';

type Quirk = (row: JsonObject) => JsonObject;

const QUIRKS: Readonly<Record<RowQuirk, Quirk>> = {
  'resource-id-variant': (row) => {
    const details = objectAt(row, 'properties', 'resourceDetails');
    const id = details.Id ?? details.id;
    if (id === undefined) return row;
    return withProperties(row, { resourceDetails: { Source: details.Source ?? details.source, ResourceId: id } });
  },
  'no-optional-fields': (row) =>
    withProperties(row, {
      displayName: undefined,
      additionalData: undefined,
      status: { code: objectAt(row, 'properties', 'status').code },
    }),
  'no-required-fields': (row) => withProperties(row, { status: undefined }),
  'upper-case-ids': (row) => {
    const [resource = '', assessment = ''] = textAt(row, 'id').split(/(?=\/providers\/Microsoft\.Security\/assessments\/)/i);
    return { ...row, id: resource.toUpperCase() + assessment };
  },
};

/** Every so many-th row, chosen by its id, as real traffic shows some rows and not others (azure.md §1.4, §4). */
export function withRowQuirks(row: JsonObject, { rowQuirks, rowQuirkEvery }: AzureLabOptions): JsonObject {
  if (rowQuirks.length === 0 || sumOf(textAt(row, 'id').toLowerCase()) % rowQuirkEvery !== 0) return row;
  return rowQuirks.reduce((changed, quirk) => QUIRKS[quirk](changed), row);
}

function withProperties(row: JsonObject, changed: Record<string, Json | undefined>): JsonObject {
  return { ...row, properties: { ...objectAt(row, 'properties'), ...changed } };
}

function sumOf(text: string): number {
  let sum = 0;
  for (let index = 0; index < text.length; index += 1) sum = (sum * 31 + text.charCodeAt(index)) >>> 0;
  return sum;
}
