/**
 * Decides after each page whether another one may be asked for. Pure; its state is small and JSON, so that it can be kept with
 * the scan's cursor. Reasons for each limit: azure.md §4 (empty pages that carry a nextLink, a nextLink that points to itself).
 */
import { createHash } from 'node:crypto';

export interface PagingLimits {
  /** Pages without an item, one after the other (default 5). */
  readonly consecutiveEmptyPages: number;
  /** Items on one page (default 50,000). */
  readonly itemsPerPage: number;
  /** Pages of one scan (default 10,000). */
  readonly pages: number;
  /** How many links are remembered to notice a loop (default 64). */
  readonly rememberedLinks: number;
}

export const defaultPagingLimits: PagingLimits = { consecutiveEmptyPages: 5, itemsPerPage: 50_000, pages: 10_000, rememberedLinks: 64 };

export interface PagingState {
  readonly pages: number;
  readonly consecutiveEmptyPages: number;
  /** First 16 hex digits of the SHA-256 of the last links followed, oldest first. */
  readonly seenLinks: readonly string[];
}

export const startOfPaging: PagingState = { pages: 0, consecutiveEmptyPages: 0, seenLinks: [] };

export type PagingStep =
  | { readonly state: PagingState; readonly next: string }
  | { readonly stop: 'end'; readonly state: PagingState }
  | { readonly stop: 'partial'; readonly because: string; readonly state: PagingState };

/**
 * @param page how many items it had, and the link or token to the next one, if any
 * @returns where to go on, or that this was the last page (`end`), or that the scan cannot be complete (`partial`) and why
 */
export function guardPage(
  state: PagingState,
  page: { readonly itemCount: number; readonly next: string | undefined },
  limits: Partial<PagingLimits> = {},
): PagingStep {
  const limit = { ...defaultPagingLimits, ...limits };
  const counted: PagingState = {
    pages: state.pages + 1,
    consecutiveEmptyPages: page.itemCount === 0 ? state.consecutiveEmptyPages + 1 : 0,
    seenLinks: state.seenLinks,
  };
  const partial = (because: string): PagingStep => ({ stop: 'partial', because, state: counted });
  if (page.itemCount > limit.itemsPerPage) {
    return partial(`a page had ${page.itemCount} items, more than the limit of ${limit.itemsPerPage}`);
  }
  if (page.next === undefined || page.next === '') return { stop: 'end', state: counted };
  if (counted.consecutiveEmptyPages >= limit.consecutiveEmptyPages) {
    return partial(`${counted.consecutiveEmptyPages} empty pages in a row, each naming a next one`);
  }
  if (counted.pages >= limit.pages) return partial(`${counted.pages} pages read and still another one named`);
  const digest = createHash('sha256').update(page.next).digest('hex').slice(0, 16);
  if (counted.seenLinks.includes(digest)) return partial('the service named a next page that had been read already');
  return { state: { ...counted, seenLinks: [...counted.seenLinks, digest].slice(-limit.rememberedLinks) }, next: page.next };
}
