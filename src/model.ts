/**
 * The words that all rooms share (design §1). Types and constants only: no logic, no I/O.
 *
 * Data moves through three shapes: a **row** is what Azure sent; an **observed record** is one validated, normalised row,
 * keyed by its lower-case Azure id; a **desired record** is one ServiceNow record that should exist.
 */

export * from './model/names.ts';
export * from './model/observing.ts';
export * from './model/deriving.ts';
export * from './model/running.ts';
