/** What all claims have in common, of CIs, records, removals and pairs: a token and a lease, and rest for what was sent without an outcome (design §2). */
import { SyncError } from '../errors.ts';

/** What is not ours any more must not be sent: another attempt may be sending it. */
export function requireWholeClaim(held: number | null, wanted: number): void {
  if (held === wanted) return;
  throw new SyncError({
    kind: 'overtaken',
    service: 'ledger',
    message: 'Claimed records passed to another activity attempt before they were sent.',
  });
}

/** A parameter of a statement, `$7`. */
type Parameter = `$${number}`;

/**
 * SQL: nobody holds the row, and if it was sent, the platform must have finished with it.
 * @param settleMs parameter with the milliseconds that takes
 */
export function isFree(row: string, settleMs: Parameter): string {
  return `(${row}.claim_until IS NULL OR ${row}.claim_until < ledger_now())
           AND (${row}.sent_at IS NULL OR ${row}.sent_at + ${settleMs} * interval '1 millisecond' < ledger_now())`;
}

/** SQL: milliseconds until the first row of those that `due` selects is free; null when there is none, for {@link wholeMs}. */
export function firstFreeInMs(row: string, settleMs: Parameter, due: string): string {
  return `extract(epoch FROM min(greatest(coalesce(${row}.claim_until, '-infinity'), coalesce(${row}.sent_at + ${settleMs} * interval '1 millisecond', '-infinity')))
         FILTER (WHERE ${due}) - ledger_now()) * 1000`;
}

/** Milliseconds to wait, from the text of a PostgreSQL number: whole, and none for null, infinity and what is past. */
export function wholeMs(text: string | null | undefined): number {
  const ms = Number(text ?? 0);
  return Number.isFinite(ms) ? Math.max(0, Math.ceil(ms)) : 0;
}
