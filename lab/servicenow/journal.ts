import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Change, Row, Store } from './store.ts';

/** Keeps a store's changes on disk: an append-only journal of JSON lines over a snapshot. */
export interface Journal {
  /** Writes what is buffered. */
  flush(): void;
  /** Flushes and folds the journal into the snapshot. */
  close(): void;
}

type Line = { put: string; id: string; v: Record<string, string> } | { del: string; id: string };

/** Replays snapshot and journal of `dir` into the store, then records every further change there. */
export function openJournal(dir: string, store: Store): Journal {
  mkdirSync(dir, { recursive: true });
  const snapshotFile = join(dir, 'snapshot.jsonl');
  const journalFile = join(dir, 'journal.jsonl');
  const touched = new Map<string, Line>();
  for (const file of [snapshotFile, journalFile]) {
    for (const line of readLines(file)) {
      touched.set(keyOf(store, line), line);
      apply(store, line);
    }
  }
  let buffer = '';
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (buffer === '') return;
    appendFileSync(journalFile, buffer, { mode: 0o600 });
    buffer = '';
  };
  store.onChange((change) => {
    const line = lineOf(change);
    touched.set(keyOf(store, line), line);
    buffer += `${JSON.stringify(line)}\n`;
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  });
  return {
    flush,
    close: () => {
      flush();
      const temporary = `${snapshotFile}.tmp`;
      // Rows of oauth_entity hold client secrets.
      writeFileSync(temporary, '', { mode: 0o600 });
      let chunk = '';
      for (const line of touched.values()) {
        chunk += `${JSON.stringify(line)}\n`;
        if (chunk.length < 1_000_000) continue;
        appendFileSync(temporary, chunk);
        chunk = '';
      }
      appendFileSync(temporary, chunk);
      renameSync(temporary, snapshotFile);
      rmSync(journalFile, { force: true });
    },
  };
}

function lineOf(change: Change): Line {
  return change.op === 'put'
    ? { put: change.row.table, id: change.row.sysId, v: change.row.values }
    : { del: change.table, id: change.sysId };
}

/** One key per record, whatever its class is now: a reclassified or deleted record must not come back as what it was. */
function keyOf(store: Store, line: Line): string {
  return `${rootOf(store, 'put' in line ? line.put : line.del)}/${line.id}`;
}

function rootOf(store: Store, table: string): string {
  return store.schema.get(table)?.root ?? table;
}

function apply(store: Store, line: Line): void {
  const table = 'put' in line ? line.put : line.del;
  // A table that a newer seed no longer has: its rows have nowhere to live.
  if (store.schema.get(table) === undefined) return;
  if ('put' in line) {
    const row: Row = { table, sysId: line.id, values: line.v };
    store.load(row);
    return;
  }
  const row = store.find(rootOf(store, table), line.id);
  if (row !== undefined) store.unload(row);
}

/** The lines of a file; a last line that was cut by a crash is left out. */
function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  const texts = readFileSync(file, 'utf8').split('\n');
  texts.pop();
  return texts.map((text) => JSON.parse(text) as Line);
}
