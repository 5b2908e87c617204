import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Background } from './background.ts';
import type { Store } from './store.ts';

/** A new file is scanned before it is available: it was seen available one second after the upload (attachment/get_list_metadata_headers.json). */
const SCAN_MS = 1000;

/** The contents of attachments, and who may not see them whatever the ACLs say. */
export interface AttachmentFiles {
  put(sysId: string, content: Buffer): void;
  /** undefined where the row was made without contents. */
  get(sysId: string): Buffer | undefined;
  /**
   * Hides the attachments of some tables from every client, as an IP restriction on attachment access does: no error, they are just not
   * there, and importers attach their pages again (servicenow.md §6).
   */
  hide(tables: string[]): void;
  isHidden(table: string): boolean;
  /** Starts the scan that makes a pending attachment available. */
  scan(sysId: string): void;
}

/** Keeps contents in memory, or as files in `dir`. */
export function createAttachmentFiles(store: Store, background: Background, dir: string | undefined): AttachmentFiles {
  const contents = new Map<string, Buffer>();
  let hidden = new Set<string>();
  const fileOf = (sysId: string): string | undefined => (dir === undefined ? undefined : join(dir, `${sysId}.bin`));
  const scan = (sysId: string): void => {
    background.later(SCAN_MS, () => {
      const row = store.find('sys_attachment', sysId);
      if (row?.values['state'] === 'pending') store.update(row, { state: 'available' }, 'system');
    });
  };
  store.onChange((change) => {
    if (change.op !== 'delete' || change.table !== 'sys_attachment') return;
    contents.delete(change.sysId);
    const file = fileOf(change.sysId);
    if (file !== undefined) rmSync(file, { force: true });
  });
  for (const row of store.equal('sys_attachment', 'state', ['pending'])) scan(row.sysId);
  return {
    scan,
    put: (sysId, content) => {
      const file = fileOf(sysId);
      if (dir === undefined || file === undefined) {
        contents.set(sysId, content);
        return;
      }
      mkdirSync(dir, { recursive: true });
      writeFileSync(file, content);
    },
    get: (sysId) => {
      const file = fileOf(sysId);
      if (file === undefined) return contents.get(sysId);
      return existsSync(file) ? readFileSync(file) : undefined;
    },
    hide: (tables) => {
      hidden = new Set(tables);
    },
    isHidden: (table) => hidden.has(table),
  };
}
