import { hash32 } from './generated/hash.ts';

/** What a removal meets. Places and ordinals are the estate's own numbers: a change never holds rows. */
export type RemovalTarget =
  /** This share of assessments, chosen by the seed. */
  | { readonly kind: 'assessments'; readonly percent: number; readonly seed: number }
  /** This share of resources, with all their assessments. */
  | { readonly kind: 'resources'; readonly percent: number; readonly seed: number }
  | { readonly kind: 'assessment'; readonly stream: number; readonly ordinal: number }
  | { readonly kind: 'resource'; readonly place: number };

/** Something that went away, or (`present`) came back. The last one that meets a row decides. */
export interface Removal {
  readonly target: RemovalTarget;
  /** The only subscription it concerns; undefined: all of them. */
  readonly subscriptionId: string | undefined;
  readonly present: boolean;
}

/** What was added after an estate was laid out: to one subscription, or spread over all by their share of the estate. */
export interface Addition {
  readonly subscriptionId: string | undefined;
  readonly assessments: number;
  readonly resources: number;
  readonly images: number;
}

/** A recommendation that got a new key (azure.md §1.6, §4). */
export interface Rename {
  /** Its key until then. */
  readonly from: string;
  readonly to: string;
}

/** What the content of an estate became, as a log that only grows: each entry costs the same, however many rows it meets. */
export interface ContentChanges {
  readonly removals: Removal[];
  readonly additions: Addition[];
  readonly renames: Rename[];
}

export function createContentChanges(): ContentChanges {
  return { removals: [], additions: [], renames: [] };
}

/** What is still there of one subscription. */
export interface Presence {
  /** Rises with every removal; 0 as long as nothing was ever removed here. */
  readonly version: () => number;
  readonly hasRow: (stream: number, ordinal: number) => boolean;
  readonly hasResource: (place: number) => boolean;
}

const ROW_DRAW = 7;
const RESOURCE_DRAW = 8;

/** Presence in the subscription with this seed. */
export function createPresence(content: ContentChanges, seed: number, subscriptionId: string): Presence {
  let seen = 0;
  let onRows: Removal[] = [];
  let onResources: Removal[] = [];
  const read = (): void => {
    for (; seen < content.removals.length; seen += 1) {
      const removal = content.removals[seen];
      if (removal === undefined || (removal.subscriptionId ?? subscriptionId) !== subscriptionId) continue;
      const { kind } = removal.target;
      if (kind === 'assessments' || kind === 'assessment') onRows = [...onRows, removal];
      else onResources = [...onResources, removal];
    }
  };
  const meetsRow = ({ target }: Removal, stream: number, ordinal: number): boolean =>
    target.kind === 'assessments'
      ? hash32(seed ^ target.seed, stream, ordinal, ROW_DRAW) % 10_000 < target.percent * 100
      : target.kind === 'assessment' && target.stream === stream && target.ordinal === ordinal;
  const meetsResource = ({ target }: Removal, place: number): boolean =>
    target.kind === 'resources'
      ? hash32(seed ^ target.seed, place, RESOURCE_DRAW) % 10_000 < target.percent * 100
      : target.kind === 'resource' && target.place === place;
  return {
    version: () => {
      read();
      return onRows.length + onResources.length;
    },
    hasRow: (stream, ordinal) => {
      read();
      return onRows.findLast((removal) => meetsRow(removal, stream, ordinal))?.present ?? true;
    },
    hasResource: (place) => {
      read();
      return onResources.findLast((removal) => meetsResource(removal, place))?.present ?? true;
    },
  };
}

/** The key that a recommendation has now. */
export function currentKey(content: ContentChanges, key: string): string {
  return content.renames.reduce((current, { from, to }) => (current === from ? to : current), key);
}
